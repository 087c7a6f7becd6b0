// SPDX-License-Identifier: GPL-2.0
/*
 * Calls that no sane program makes, one after the other, on the nodes and attributes of
 * one device: system calls with random arguments, of which many are nearly right, and
 * writes to sysfs of words that are nearly right. Which calls they are depends on the seed
 * alone; what comes of them, also on who else is at work. Says how many there were of each
 * kind, how many succeeded, and the milliseconds that they took; and meanwhile in /run/fuzzN,
 * how far it is.
 *
 * What nobody should do to a machine that is wanted on is left out: making System RAM bad
 * (madvise), tracing with buffers of any size, waiting for ourselves.
 *
 * usage: fuzz SEED CALLS N		calls on karrayN
 *        fuzz SEED LOADS MODULE	loads and unloads it, with random parameters
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/futex.h>
#include <linux/karray.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COUNT(array)	(sizeof(array) / sizeof(*(array)))
#define PICK(array)	((array)[roll(COUNT(array))])

/*
 * Where 32-bit calls can point to, too: what is always mapped, and what is not. Above the
 * heap, which begins anywhere in the first GiB behind the program.
 */
#define BUFFER		((uint8_t *)0x4f000000UL)
#define BUFFER_SIZE	(64UL << 10)
#define ARENA		((uint8_t *)0x50000000UL)
#define ARENA_SIZE	(16UL << 20)

#define NR_FILES	6
#define RESET		256	/* calls, after which all is let go */
#define BUS		"/sys/bus/karray/"
#define ACPI_DRIVER	"/sys/bus/acpi/drivers/karray/"

static int number;			/* of the device */
static char device[64], disk[64];	/* its nodes */
static uint64_t size = 16 << 20;	/* of its memory */
static int files[NR_FILES], ends[2];
static bool has_32bit;
static unsigned long wrong;		/* answers that can't be */

/* Dice ------------------------------------------------------------------ */

static uint64_t state;

static uint64_t roll64(void)
{
	uint64_t x = state += 0x9e3779b97f4a7c15;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static unsigned long roll(unsigned long sides)
{
	return roll64() % sides;
}

static bool once_in(unsigned int n)
{
	return !roll(n);
}

/* A number at which code may go wrong. */
static uint64_t odd_number(void)
{
	const uint64_t base[] = {
		0, 0, 512, 4096, 2 << 20, size, size / 2, size - 4096, 1ULL << 31,
		1ULL << 32, 1ULL << 44, 1ULL << 62, 1ULL << 63, roll64()
	};

	return PICK(base) + (once_in(2) ? 0 : roll(5) - 2);
}

static uint64_t offset(void)
{
	return once_in(4) ? odd_number() : roll(size);
}

/* Mostly short, so that a call is cheap. */
static uint64_t length(void)
{
	if (once_in(64))
		return odd_number();
	return once_in(3) ? roll(4) * 4096 : roll(once_in(8) ? BUFFER_SIZE : 8192);
}

static int file(void)
{
	return once_in(50) ? (int)roll(3) * 1000 - 1 : PICK(files);
}

static void *pointer(void)
{
	switch (roll(once_in(4) ? 8 : 2)) {
	case 0:
	case 1:
		return BUFFER + roll(once_in(2) ? 1 : BUFFER_SIZE);
	case 2:
	case 3:
		return ARENA + roll(ARENA_SIZE);
	case 4:
		return ARENA - roll(64);
	case 5:
		return (void *)roll(2);
	case 6:
		return (void *)(0xffff888000000000 + roll(1 << 20));
	default:
		return (void *)roll64();
	}
}

static int iovec(struct iovec *vec)
{
	int n = once_in(32) ? 16 : 1 + roll(4);

	for (int i = 0; i < n; i++) {
		vec[i].iov_base = pointer();
		vec[i].iov_len = length();
	}
	return once_in(100) ? -1 : n;
}

/* More bytes than were asked for would be wrong. */
static long moved(long ret, const struct iovec *vec, int n)
{
	size_t sum = 0;

	for (int i = 0; i < n; i++)
		sum += vec[i].iov_len;
	if (ret > 0 && (size_t)ret > sum && n > 0 && sum < (1 << 30)) {
		printf("# %ld bytes of %zu were moved\n", ret, sum);
		wrong++;
	}
	return ret;
}

/* Files and pipes ------------------------------------------------------- */

static long new_pipe(void)
{
	close(ends[0]);
	close(ends[1]);
	return pipe2(ends, O_NONBLOCK);
}

static void close_all(void)
{
	for (int i = 0; i < NR_FILES; i++) {
		close(files[i]);
		files[i] = -1;
	}
}

/* What most calls can do something with. */
static void open_some(void)
{
	close_all();
	files[0] = open(device, O_RDWR | O_CLOEXEC);
	files[1] = open(device, O_RDONLY | O_CLOEXEC);
	files[2] = open(disk, O_RDWR | O_CLOEXEC);
	files[3] = open(disk, O_RDWR | O_DIRECT | O_CLOEXEC);
}

static long call_open(void)
{
	static const int more[] = {
		O_DIRECT, O_APPEND, O_NONBLOCK, O_SYNC, O_DSYNC, O_EXCL, O_TRUNC, O_PATH,
		O_ASYNC, O_NOATIME, O_NOFOLLOW, O_DIRECTORY, O_TMPFILE & ~O_DIRECTORY
	};
	int i = roll(NR_FILES), flags = once_in(8) ? (int)roll(4) : O_RDWR;

	while (once_in(3))
		flags |= PICK(more);
	/* As often as not the disk, and so the node's copies of it. */
	close(files[i]);
	files[i] = open(once_in(3) ? disk : device, flags | O_CLOEXEC, 0600);
	return files[i];
}

static long call_close(void)
{
	int i = roll(NR_FILES), ret = close(files[i]);

	files[i] = once_in(4) ? dup(PICK(files)) : -1;
	return ret;
}

/* Reading and writing --------------------------------------------------- */

static long call_move(void)
{
	struct iovec vec[16];
	int n = iovec(vec), fd = file(), flags = 0;

	while (once_in(3))
		flags |= once_in(8) ? 1 << roll(31) : 1 << roll(6);
	switch (roll(8)) {
	case 0:
		return moved(read(fd, vec[0].iov_base, vec[0].iov_len), vec, 1);
	case 1:
		return moved(write(fd, vec[0].iov_base, vec[0].iov_len), vec, 1);
	case 2:
		return moved(readv(fd, vec, n), vec, n);
	case 3:
		return moved(writev(fd, vec, n), vec, n);
	case 4:
	case 5:
		return moved(syscall(SYS_preadv2, fd, vec, n, offset(), 0, flags), vec, n);
	default:
		return moved(syscall(SYS_pwritev2, fd, vec, n, offset(), 0, flags), vec, n);
	}
}

static long call_splice(void)
{
	loff_t in = offset(), out = offset();
	loff_t *at = once_in(3) ? NULL : &in;
	struct iovec vec[16];
	char some[5000];
	int flags = roll(16) | SPLICE_F_NONBLOCK, n;

	switch (roll(7)) {
	case 0:
		return splice(file(), at, ends[1], NULL, length(), flags);
	case 1:
		n = write(ends[1], some, sizeof(some));
		return splice(ends[0], NULL, file(), at, length(), flags);
	case 2:
		return sendfile(ends[1], file(), at, length());
	case 3:
		return sendfile(file(), file(), at, length() % (1 << 20));
	case 4:
		return copy_file_range(file(), at, file(), once_in(2) ? NULL : &out, length(), roll(2));
	case 5:
		n = iovec(vec);
		return vmsplice(ends[1], vec, n, flags);
	default:
		return new_pipe();
	}
}

static long call_other(void)
{
	static const int fcntls[] = {
		F_GETFD, F_GETFL, F_SETFL, F_SETLEASE, F_GETLEASE, F_NOTIFY, F_GETPIPE_SZ,
		F_ADD_SEALS, F_GET_SEALS, F_SET_RW_HINT, F_GET_RW_HINT
	};
	uint64_t hint = roll(8);

	switch (roll(10)) {
	case 0:
	case 1:
		return lseek(file(), offset(), once_in(8) ? roll64() : roll(5));
	case 2:
		return fallocate(file(), roll(128), offset(), length());
	case 3:
		return once_in(2) ? fsync(file()) : fdatasync(file());
	case 4:
		return -posix_fadvise(file(), offset(), length(), roll(8));
	case 5:
		return sync_file_range(file(), offset(), length(), roll(9));
	case 6:
		return readahead(file(), offset(), length() % (1 << 20));
	case 7:
		return once_in(2) ? ftruncate(file(), offset()) :
				    flock(file(), LOCK_NB | (1 << roll(4)));
	case 8:
		return fcntl(file(), PICK(fcntls), once_in(2) ? (uintptr_t)&hint : roll(1 << 20));
	default:
		return syscall(SYS_fstat, file(), pointer());
	}
}

/* Requests -------------------------------------------------------------- */

static unsigned int request(void)
{
	static const unsigned int ours[] = {
		KARRAY_IOC_PING, KARRAY_IOC_INFO, KARRAY_IOC_FILL, KARRAY_IOC_CHECKSUM,
		KARRAY_IOC_COMPARE, KARRAY_IOC_BAD
	};
	unsigned int code = PICK(ours);

	if (once_in(8))
		code ^= 1U << roll(32);
	/* The block layer's, but for those that set up tracing, or readahead of any size. */
	if (once_in(8))
		code = _IO(0x12, 93 + roll(45));
	if (once_in(16))
		code = roll64();
	switch (code & 0xffff) {
	case BLKRASET:
	case BLKFRASET:
	case _IO(0x12, 115) & 0xffff:
		return 0;
	default:
		return code;
	}
}

/* An argument, at an address where it can be; nearly right for most requests. */
static void *argument(void)
{
	uint64_t *arg = (void *)(BUFFER + roll(64));
	uint64_t words[6] = { offset(), once_in(2) ? length() : offset(), length(), 0, 0, 0 };

	if (once_in(3))
		words[2] = 0;			/* CRC-32C, and a sum of 0 */
	if (once_in(4)) {
		words[2] = (uintptr_t)pointer();
		words[3] = roll(20);
	}
	if (once_in(16))
		words[roll(6)] ^= 1ULL << roll(64);
	memcpy(arg, words, sizeof(words));
	return arg;
}

static long call_ioctl(void)
{
	void *arg = argument();

	return syscall(SYS_ioctl, file(), request(), once_in(16) ? pointer() : arg);
}

#ifdef __x86_64__
/* As 32-bit programs call. */
static long call32(long nr, long a, long b, long c, long d, long e)
{
	long ret;

	asm volatile("int $0x80" : "=a" (ret)
		     : "a" (nr), "b" (a), "c" (b), "d" (c), "S" (d), "D" (e)
		     : "memory", "r8", "r9", "r10", "r11");
	return (int)ret;
}
#else
/* Elsewhere no 64-bit program can. */
static long call32(long nr, ...)
{
	(void)nr;
	return -ENOSYS;
}
#endif

static long call_32bit(void)
{
	uint64_t at = offset();
	uint32_t *vec = (void *)(BUFFER + 1024);

	if (!has_32bit)
		return -ENOSYS;
	if (once_in(2)) {
		void *arg = argument();

		return call32(54, file(), request(), once_in(16) ? (long)pointer() : (long)arg, 0, 0);
	}
	for (int i = 0; i < 8; i++)
		vec[i] = i % 2 ? length() : (uintptr_t)pointer();
	switch (roll(5)) {
	case 0:
		return call32(333, file(), (long)vec, roll(6), at, at >> 32);	/* preadv */
	case 1:
		return call32(334, file(), (long)vec, roll(6), at, at >> 32);	/* pwritev */
	case 2:
		return call32(140, file(), at >> 32, at, (long)(BUFFER + 512), roll(5));	/* _llseek */
	case 3:
		return call32(187, PICK(ends), file(), (long)vec, length(), 0);	/* sendfile */
	default:
		return call32(272, file(), at, at >> 32, length(), 0);		/* fadvise64_64 */
	}
}

/* Mappings -------------------------------------------------------------- */

static sigjmp_buf back;
static volatile sig_atomic_t touching;

static void fault(int sig)
{
	if (!touching) {
		signal(sig, SIG_DFL);
		return;
	}
	siglongjmp(back, 1);
}

static void alarmed(int sig)
{
	(void)sig;
}

static long touch(uint8_t *at, bool write)
{
	volatile uint8_t *p = at;

	if (sigsetjmp(back, 1)) {
		touching = 0;
		return -EFAULT;
	}
	touching = 1;
	if (write)
		*p = 1;
	else
		(void)*p;
	touching = 0;
	return 0;
}

static uint8_t *place(void)
{
	return ARENA + roll(ARENA_SIZE / 4096) * (once_in(16) ? roll(4096) : 4096) % ARENA_SIZE;
}

/* Within the arena, from there on. */
static size_t within(const uint8_t *from)
{
	size_t len = once_in(2) ? roll(4) << 21 : roll(64) << 12, left = ARENA + ARENA_SIZE - from;

	return len < left ? len : left;
}

/* And neither what has grown down from there. */
static void no_mappings(void)
{
	mmap(ARENA - (1 << 20), ARENA_SIZE + (1 << 20), PROT_NONE,
	     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
}

/*
 * Prefaults a mapping, and no disk's: the kernel's mm tries a page that can't be read again
 * and again, on any disk, until somebody kills the caller.
 */
static void prefault(uint8_t *at, size_t len)
{
	if (once_in(2))
		mlock2(at, len, 0);
	else
		madvise(at, len, once_in(2) ? MADV_POPULATE_READ : MADV_POPULATE_WRITE);
}

static bool is_disk(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISBLK(st.st_mode);
}

static long call_mmap(void)
{
	static const int more[] = {
		MAP_POPULATE, MAP_LOCKED, MAP_NORESERVE, MAP_NONBLOCK, MAP_GROWSDOWN, MAP_HUGETLB,
		MAP_SYNC, MAP_STACK, MAP_ANONYMOUS
	};
	int flags = MAP_FIXED | (once_in(4) ? (int)roll(4) : MAP_SHARED);
	uint8_t *at = once_in(2) ? place() : ARENA + (roll(ARENA_SIZE) & -(2L << 20));
	uint64_t from = once_in(2) ? roll(8) << 21 : offset() & (once_in(16) ? -1 : -4096L);
	int prot = once_in(4) ? (int)roll(16) : PROT_READ | PROT_WRITE, fd = file();
	size_t len = within(at);
	bool disk = is_disk(fd);

	while (once_in(4))
		flags |= PICK(more);
	/* A growing stack could leave the arena. */
	if (flags & MAP_ANONYMOUS)
		flags &= ~MAP_GROWSDOWN;
	if (disk)
		flags &= ~(MAP_POPULATE | MAP_LOCKED);
	if (syscall(SYS_mmap, at, len, prot, flags, fd, from) < 0)
		return -1;
	if (!disk && once_in(8))
		prefault(at, len);
	return 0;
}

static long call_map(void)
{
	/* Not making memory bad; and nothing here prefaults, see prefault(). */
	static const int advices[] = {
		0, 1, 2, 3, 4, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 24, 25, 26, 102
	};
	uint8_t *at = place(), *to = place(), *moved;
	size_t len = within(at), new = within(to);
	unsigned char seen[ARENA_SIZE >> 12];

	switch (roll(12)) {
	case 0:
		return munmap(at, len);
	case 1:
	case 2:
		return mprotect(at, len, once_in(8) ? roll(16) : roll(4));
	case 3:
	case 4:
		return madvise(at, len, PICK(advices));
	case 5:
		return msync(at, len, roll(8));
	case 6:
		moved = mremap(at, once_in(8) ? 0 : len, new, MREMAP_MAYMOVE | MREMAP_FIXED, to);
		return moved == MAP_FAILED ? -1 : 0;
	case 7:
		moved = mremap(at, len, new, roll(2));
		if (moved == MAP_FAILED)
			return -1;
		if (moved < ARENA || moved >= ARENA + ARENA_SIZE)
			munmap(moved, new);
		return 0;
	case 8:
		return once_in(2) ? mlock2(at, len, MLOCK_ONFAULT) : munlock(at, len);
	case 9:
		return mincore(at, len, seen);
	case 10:
		return syscall(SYS_remap_file_pages, at, len, 0, roll(size >> 12), MAP_NONBLOCK);
	default:
		return syscall(SYS_futex, at, FUTEX_WAKE | roll(2) * FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0);
	}
}

static long call_touch(void)
{
	return touch(ARENA + roll(ARENA_SIZE), once_in(2));
}

/* A child has the same mappings, and touches some. */
static long call_fork(void)
{
	int child = fork(), status;

	if (!child) {
		for (int i = 0; i < 20; i++)
			call_touch();
		_exit(0);
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

/* Whatever comes next may be interrupted. */
static long call_alarm(void)
{
	struct itimerval soon = { .it_value.tv_usec = 1 + roll(3000) };

	return setitimer(ITIMER_REAL, &soon, NULL);
}

/* Attributes ------------------------------------------------------------ */

#define MAX_ATTRIBUTES	512

static char attributes[MAX_ATTRIBUTES][200];
static unsigned int nr_attributes;

static void add_attribute(const char *path)
{
	if (nr_attributes < MAX_ATTRIBUTES && strlen(path) < sizeof(attributes[0]))
		strcpy(attributes[nr_attributes++], path);
}

static int compare_attributes(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Links lead to where nothing is ours. */
static void find_attributes(const char *dir, int deep)
{
	struct dirent *entry;
	DIR *d = opendir(dir);
	char path[512];

	if (!d)
		return;
	while ((entry = readdir(d))) {
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.' && deep)
			find_attributes(path, deep - 1);
		else if (entry->d_type == DT_REG)
			add_attribute(path);
	}
	closedir(d);
}

static void find_all_attributes(void)
{
	char path[64];

	nr_attributes = 0;
	snprintf(path, sizeof(path), BUS "devices/karray%d", number);
	find_attributes(path, 6);
	find_attributes("/sys/module/karray", 1);
	/* In no order of the kernel's, which may be another each time. */
	qsort(attributes, nr_attributes, sizeof(attributes[0]), compare_attributes);
	for (int i = 0; i < 3; i++) {
		add_attribute(BUS "create");
		add_attribute(BUS "delete");
		add_attribute(BUS "uevent");
		add_attribute(ACPI_DRIVER "bind");
		add_attribute(ACPI_DRIVER "unbind");
		for (int j = 0; j < 3; j++) {
			static const char *const often[] = {
				"online", "state", "dax", "queue_mode", "read_only", "nr_queues",
				"poll_queues", "queue_depth", "logical_block_size"
			};

			snprintf(path, sizeof(path), BUS "devices/karray%d/%s", number, PICK(often));
			add_attribute(path);
		}
		snprintf(path, sizeof(path), "/sys/block/karrayb%d/badblocks", number);
		add_attribute(path);
	}
}

static size_t words(char *text, size_t room)
{
	static const char *const known[] = {
		"0", "1", "2", "-1", "512", "1024", "4096", "4294967296", "0x10", "mq", "bio", "online",
		"offline", "system-ram", "dead", "none", "mq-deadline", "karray0", "karray1", "karray2",
		"karray3", "16M@4G", "8M@0x102000000", "16M@0x1", "1E@4G", "0@4G", "@", "16M@4G,16M@4G",
		"PNP0C80:00", "PNP0C80:01", "add", "change", "auto", "y", "n", "write back", "%s%n", "\n"
	};
	size_t len = snprintf(text, room, "%s", PICK(known));

	if (once_in(3))
		len += snprintf(text + len, room - len, "%lu", roll(300));
	if (once_in(8) && len)
		text[roll(len)] ^= 1 << roll(8);
	if (once_in(8))
		len = roll(len + 1);
	if (once_in(16))
		text[len++] = ' ' + roll(94);
	if (once_in(32)) {
		memset(text + len, 'A' + roll(50), room - len);
		len = once_in(2) ? room - roll(3) : roll(room);
	}
	if (once_in(2) && len < room)
		text[len++] = '\n';
	return len;
}

/*
 * One sector at a time, of a few: the kernel's list isn't up to all ranges that can be
 * put there by hand.
 */
static size_t bad_words(char *text, size_t room)
{
	unsigned long long sector;
	size_t len;
	int count;

	if (once_in(2))
		return snprintf(text, room, "%lu 1%s", 2 * roll(32), once_in(2) ? "\n" : "");
	len = words(text, room - 1);
	text[len] = '\0';
	return sscanf(text, "%llu %d", &sector, &count) == 2 ? 0 : len;
}

static long write_words(const char *path, const char *text, size_t len)
{
	int fd = open(path, O_WRONLY);
	long ret, err;

	if (fd < 0)
		return -errno;
	ret = write(fd, text, len);
	err = errno;
	close(fd);
	return ret < 0 ? -err : ret;
}

static long call_sysfs(void)
{
	bool unused = once_in(2);
	char text[4200];
	const char *path;
	size_t len;
	long ret;

	/* What is pinned is waited for, which may be by us. */
	new_pipe();
	if (unused) {
		close_all();
		no_mappings();
	}
	if (!nr_attributes || once_in(100))
		find_all_attributes();
	path = attributes[roll(nr_attributes)];
	if (once_in(2)) {
		int fd = open(path, O_RDONLY);

		ret = pread(fd, text, sizeof(text), once_in(16) ? roll(64) : 0);
		close(fd);
	} else {
		len = strstr(path, "badblocks") ? bad_words(text, 64) : words(text, sizeof(text));
		ret = strstr(path, "read_ahead_kb") ? 0 : write_words(path, text, len);
	}
	if (unused)
		open_some();
	return ret;
}

/* All is let go, and brought back that went. */
static void reset(void)
{
	static const char *const modes[] = { "mq", "bio" };
	char path[64];
	int fd;

	close_all();
	new_pipe();
	no_mappings();
	snprintf(path, sizeof(path), BUS "devices/karray%d/online", number);
	if (once_in(64)) {
		char setting[64];

		write_words(path, "0", 1);
		snprintf(setting, sizeof(setting), BUS "devices/karray%d/queue_mode", number);
		write_words(setting, PICK(modes), 3);
		snprintf(setting, sizeof(setting), BUS "devices/karray%d/dax", number);
		write_words(setting, once_in(2) ? "1" : "0", 1);
		snprintf(setting, sizeof(setting), BUS "devices/karray%d/read_only", number);
		write_words(setting, "0", 1);
	}
	if (access(path, F_OK)) {
		write_words(ACPI_DRIVER "bind", "PNP0C80:00", 10);
		write_words(BUS "create", "16M@4G", 6);
	}
	write_words(path, "1", 1);
	fd = open(device, O_RDONLY);
	if (fd >= 0) {
		off_t end = lseek(fd, 0, SEEK_END);

		size = end > 0 ? end : (off_t)size;
		close(fd);
	}
	open_some();
}

/* Loads ----------------------------------------------------------------- */

static long load(const char *module)
{
	static const char *const names[] = {
		"queue_mode", "nr_queues", "poll_queues", "queue_depth", "logical_block_size", "dax",
		"read_only", "region", "no_such"
	};
	int fd = open(module, O_RDONLY);
	char params[9000];
	size_t len = 0;
	long ret;

	for (unsigned long n = roll(4); n; n--) {
		len += sprintf(params + len, "%s=", PICK(names));
		len += words(params + len, once_in(16) ? 2000 : 40);
		params[len++] = ' ';
	}
	params[len] = '\0';
	ret = syscall(SYS_finit_module, fd, params, 0);
	if (ret)
		ret = -errno;
	else if (syscall(SYS_delete_module, "karray", O_NONBLOCK))
		/* Somebody, the kernel itself maybe, closes the last file in a moment. */
		while (syscall(SYS_delete_module, "karray", O_NONBLOCK) && errno != ENOENT)
			usleep(10000);
	close(fd);
	return ret;
}

/* All of it ------------------------------------------------------------- */

static struct kind {
	const char *name;
	long (*call)(void);
	unsigned int weight;
	unsigned long calls, good;
	uint64_t ns;
} kinds[] = {
	{ "open", call_open, 10, 0, 0, 0 },
	{ "close", call_close, 3, 0, 0, 0 },
	{ "read and write", call_move, 25, 0, 0, 0 },
	{ "splice", call_splice, 8, 0, 0, 0 },
	{ "seek, sync and so on", call_other, 12, 0, 0, 0 },
	{ "ioctl", call_ioctl, 25, 0, 0, 0 },
	{ "32-bit calls", call_32bit, 10, 0, 0, 0 },
	{ "mmap", call_mmap, 10, 0, 0, 0 },
	{ "munmap, madvise and so on", call_map, 20, 0, 0, 0 },
	{ "touch", call_touch, 20, 0, 0, 0 },
	{ "alarm", call_alarm, 2, 0, 0, 0 },
	{ "fork", call_fork, 0, 0, 0, 0 },		/* expensive: see choose() */
	{ "sysfs", call_sysfs, 0, 0, 0, 0 },
};

/* For who waits: how far we are. */
static void tell(unsigned long n)
{
	char path[64], text[32];
	int fd, len;

	snprintf(path, sizeof(path), "/run/fuzz%d", number);
	len = snprintf(text, sizeof(text), "%lu\n", n);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, text, len) != len)
		perror("fuzz: /run");
	close(fd);
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static struct kind *choose(void)
{
	unsigned int sum = 0, at;
	struct kind *kind;

	if (once_in(64))
		return &kinds[COUNT(kinds) - 1];
	if (once_in(1000))
		return &kinds[COUNT(kinds) - 2];
	for (kind = kinds; kind < kinds + COUNT(kinds); kind++)
		sum += kind->weight;
	at = roll(sum);
	for (kind = kinds; at >= kind->weight; kind++)
		at -= kind->weight;
	return kind;
}

static void prepare(void)
{
	struct sigaction action = { .sa_handler = fault, .sa_flags = SA_NODEFER };

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGIO, SIG_IGN);
	action.sa_handler = alarmed;
	action.sa_flags = 0;
	sigaction(SIGALRM, &action, NULL);

	if (mmap(BUFFER, BUFFER_SIZE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != BUFFER ||
	    mmap(ARENA, ARENA_SIZE, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_NORESERVE, -1, 0) != ARENA) {
		perror("fuzz: mmap");
		exit(2);
	}
	/* A kernel without them makes it a fault. */
	if (!sigsetjmp(back, 1)) {
		touching = 1;
		has_32bit = call32(20, 0, 0, 0, 0, 0) == getpid();
	}
	touching = 0;

	for (int i = 0; i < NR_FILES; i++)
		files[i] = -1;
	ends[0] = ends[1] = -1;
	snprintf(device, sizeof(device), number ? "/dev/karray%d" : "/dev/karray", number);
	snprintf(disk, sizeof(disk), "/dev/karrayb%d", number);
}

int main(int argc, char **argv)
{
	unsigned long n, i, good = 0;
	uint64_t start = now();

	if (argc != 4)
		return 2;
	state = strtoull(argv[1], NULL, 0) * 0x9e3779b97f4a7c15;
	n = strtoul(argv[2], NULL, 0);
	if (strchr(argv[3], '/')) {
		for (i = 0; i < n; i++) {
			tell(i);
			good += !load(argv[3]);
		}
		printf("all %lu %lu %lu\n", n, good, (unsigned long)((now() - start) / 1000000));
		return 0;
	}

	number = atoi(argv[3]);
	prepare();
	for (i = 0; i < n; i++) {
		struct kind *kind;
		uint64_t begin;

		if (!(i % RESET)) {
			reset();
			tell(i);
		}
		kind = choose();
		kind->calls++;
		begin = now();
		kind->good += kind->call() >= 0;
		kind->ns += now() - begin;
	}
	reset();
	close_all();
	for (i = 0; i < COUNT(kinds); i++) {
		printf("%s %lu %lu %lu\n", kinds[i].name, kinds[i].calls, kinds[i].good,
		       (unsigned long)(kinds[i].ns / 1000000));
		good += kinds[i].good;
	}
	printf("all %lu %lu %lu\n", n, good, (unsigned long)((now() - start) / 1000000));
	return wrong ? 1 : 0;
}
