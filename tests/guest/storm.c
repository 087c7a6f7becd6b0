// SPDX-License-Identifier: GPL-2.0
/*
 * What storms are made of: programs that use devices which come and go, or memory that is
 * short, until the file /run/stop is there. Each tells its progress in /run/storm.LABEL,
 * and ends with 0 if all that it has seen is as it must be.
 *
 * usage: storm LABEL io NODE HOW FIRST BLOCKS	reads, writes and verifies blocks of 4 KiB
 *	  storm LABEL map NODE HOW FIRST BLOCKS	likewise by a mapping
 *	  storm LABEL open FIRST LAST		opens the nodes of these devices
 *	  storm LABEL sysfs FIRST LAST BUSY	reads and writes the attributes of these, and
 *						of those below BUSY, which must refuse
 *	  storm LABEL append FILE		writes records, with fsync, and verifies them
 *	  storm LABEL hog MIB			uses so much memory, and verifies it
 *
 * HOW is "strict" where no error may happen; "exact" where the device may go, but what has
 * been written must be there when it is back; "loose" where it may be another then.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define BLOCK		4096
#define WORDS		(BLOCK / sizeof(uint64_t))
#define BUS		"/sys/bus/karray/devices/"

static int failures;

#define fail(format, ...) do {							\
	printf(format "\n", ##__VA_ARGS__);					\
	failures++;								\
} while (0)

/* Dice, another for each label ------------------------------------------ */

static uint64_t state;

static unsigned long roll(unsigned long sides)
{
	uint64_t x = state += 0x9e3779b97f4a7c15;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return (x ^ x >> 31) % sides;
}

#define PICK(array)	((array)[roll(sizeof(array) / sizeof(*(array)))])

/* Progress: it's the same file all the time, for there may be no memory for another. */

static unsigned long count, troubles;
static int count_fd;

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ULL + t.tv_nsec / 1000000;
}

static void tell(void)
{
	char text[64];
	int len = snprintf(text, sizeof(text), "%20lu %20lu\n", count, troubles);

	if (pwrite(count_fd, text, len, 0) != len)
		fail("can't tell: %m");
}

static bool stopped(void)
{
	return !access("/run/stop", F_OK);
}

static bool go_on(void)
{
	static uint64_t last;
	uint64_t now = now_ms();

	count++;
	if (now - last < 100)
		return !failures;
	last = now;
	tell();
	return !failures && !stopped();
}

static void pause_ms(unsigned int ms)
{
	struct timespec t = { .tv_nsec = ms * 1000000L };

	nanosleep(&t, NULL);
}

/* Blocks that tell where they belong, and which version they are --------- */

static uint64_t key;

static uint64_t word(uint64_t block, uint64_t version, unsigned int i)
{
	uint64_t x = key + block * 0x9e3779b97f4a7c15 + version * 0xbf58476d1ce4e5b9 + i;

	return x ^ x >> 31;
}

static void make(uint64_t *to, uint64_t block, uint64_t version)
{
	to[0] = version;
	for (unsigned int i = 1; i < WORDS; i++)
		to[i] = word(block, version, i);
}

static bool is_version(const uint64_t *data, uint64_t block, uint64_t version)
{
	if (data[0] != version)
		return false;
	for (unsigned int i = 1; i < WORDS; i++)
		if (data[i] != word(block, version, i))
			return false;
	return true;
}

/*
 * What may be found in a block: the version that was written last, and, where the device
 * went meanwhile, one of those that were tried since. Or anything: not written yet, or
 * left half done.
 */
struct known {
	uint32_t sure, tried;
	bool any;
};

static void check(const uint64_t *data, struct known *known, uint64_t block)
{
	uint64_t version = data[0];

	if (known->any)
		return;
	if (version < known->sure || version > known->tried || !is_version(data, block, version)) {
		unsigned int i = 1;

		while (i < WORDS && data[i] == word(block, version, i))
			i++;
		fail("block %lu: has version %lx, differs at word %u; want %u to %u",
		     (unsigned long)block, (unsigned long)version, i, known->sure, known->tried);
		return;
	}
	known->sure = known->tried = version;
}

/* The device has gone, or is refused to us for a while. */
static bool may_happen(int error)
{
	static const int errors[] = {
		ENODEV, ENXIO, EIO, ENOENT, EBUSY, EROFS, EACCES, EINTR, EAGAIN, ENOSPC, ENOMEM,
		EPERM	/* a write to a disk that is read-only */
	};

	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++)
		if (error == errors[i])
			return true;
	return false;
}

static bool strict, loose;

static void trouble(const char *what, long ret)
{
	troubles++;
	/* Who has the disk open with O_EXCL keeps writers from opening the char device. */
	if (strict ? ret != -1 || errno != EBUSY || strcmp(what, "open") :
		     ret < 0 && !may_happen(errno))
		fail("%s: %ld %m", what, ret);
	pause_ms(2);
}

static struct known *new_known(unsigned long blocks)
{
	struct known *known = calloc(blocks, sizeof(*known));

	for (unsigned long i = 0; i < blocks; i++)
		known[i].any = true;
	return known;
}

/*
 * A disk's number is free for another as soon as the disk has gone, and who has looked the
 * node up just before that gets the other one: Linux has sequence numbers to tell.
 */
static bool is_disk(int fd, const char *name)
{
	unsigned long long want = 0;
	uint64_t seq;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/block/%s/diskseq", name);
	file = fopen(path, "r");
	if (!file)
		return false;
	if (fscanf(file, "%llu", &want) != 1)
		want = 0;
	fclose(file);
	return !ioctl(fd, BLKGETDISKSEQ, &seq) && seq == want;
}

static int open_node(const char *node)
{
	const char *disk = strstr(node, "karrayb");
	int fd = open(node, O_RDWR | O_CLOEXEC | (disk ? O_DIRECT : 0));

	if (fd < 0 || !disk || is_disk(fd, disk))
		return fd;
	close(fd);
	errno = ENXIO;
	return -1;
}

static void do_io(const char *node, unsigned long first, unsigned long blocks)
{
	struct known *known = new_known(blocks);
	uint64_t *data = aligned_alloc(BLOCK, BLOCK);
	int fd = open_node(node);

	while (go_on()) {
		unsigned long n = roll(blocks);
		off_t at = (first + n) * BLOCK;
		struct known *k = &known[n];
		const char *what;
		ssize_t ret;

		if (fd < 0) {
			trouble("open", -1);
			fd = open_node(node);
			continue;
		}
		/* A moment for those who want to take it. */
		if (!strict && !roll(50)) {
			close(fd);
			pause_ms(roll(20));
			fd = open_node(node);
			continue;
		}
		if (roll(2)) {
			what = "read";
			ret = pread(fd, data, BLOCK, at);
			if (ret == BLOCK && !loose)
				check(data, k, first + n);
		} else {
			what = "write";
			make(data, first + n, ++k->tried);
			ret = pwrite(fd, data, BLOCK, at);
			if (ret == BLOCK) {
				k->sure = k->tried;
				k->any = false;
			}
		}
		if (ret != BLOCK) {
			trouble(what, ret);
			close(fd);
			fd = open_node(node);
		}
	}
	if (fd >= 0)
		close(fd);
}

static sigjmp_buf back;

static void fault(int sig)
{
	siglongjmp(back, sig);
}

static void do_map(const char *node, unsigned long first, unsigned long blocks)
{
	struct known *known = new_known(blocks);
	size_t len = blocks * BLOCK;
	/* These live through siglongjmp(). */
	static volatile bool writing;
	static uint64_t *volatile map;
	static volatile int fd = -1;
	static volatile unsigned long n;

	signal(SIGBUS, fault);
	if (sigsetjmp(back, 1)) {
		troubles++;
		if (strict)
			fail("SIGBUS at block %lu", n);
		if (writing)
			known[n].any = true;
		pause_ms(2);
	}
	while (go_on()) {
		/* After a fault, and now and then. */
		if (!map || writing || !roll(200)) {
			writing = false;
			if (map)
				munmap(map, len);
			map = NULL;
			close(fd);
			if (!strict)
				pause_ms(roll(20));
			fd = open_node(node);
			if (fd < 0) {
				trouble("open", -1);
				continue;
			}
			map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, first * BLOCK);
			if (map == MAP_FAILED) {
				map = NULL;
				trouble("mmap", -1);
				continue;
			}
		}
		n = roll(blocks);
		if (!loose)
			check(map + n * WORDS, &known[n], first + n);
		writing = true;
		make(map + n * WORDS, first + n, ++known[n].tried);
		writing = false;
		known[n].sure = known[n].tried;
		known[n].any = false;
	}
}

/* Who looks at devices --------------------------------------------------- */

static void node_name(char *name, unsigned long n, bool disk)
{
	if (disk)
		sprintf(name, "/dev/karrayb%lu", n);
	else
		sprintf(name, n ? "/dev/karray%lu" : "/dev/karray", n);
}

static void do_open(unsigned long first, unsigned long last)
{
	static const int flags[] = {
		O_RDONLY, O_RDONLY, O_RDONLY | O_NONBLOCK, O_RDWR, O_RDONLY | O_EXCL, O_WRONLY
	};
	static char data[64 << 10];
	char name[64];

	while (go_on()) {
		uint64_t size;
		int fd;

		node_name(name, first + roll(last - first + 1), roll(2));
		fd = open(name, PICK(flags) | O_CLOEXEC);
		if (fd < 0) {
			trouble("open", -1);
			continue;
		}
		/* As blkid does: the beginning, the end, and the size. */
		if (ioctl(fd, BLKGETSIZE64, &size))
			size = lseek(fd, 0, SEEK_END);
		if (pread(fd, data, 1 << (9 + roll(8)), 0) < 0 && errno != EBADF)
			trouble("read", -1);
		if (pread(fd, data, 4096, size - 4096) < 0 && errno != EBADF && errno != EINVAL)
			trouble("read", -1);
		if (!roll(50) && ioctl(fd, BLKRRPART) && errno != ENOTTY && errno != EINVAL)
			trouble("BLKRRPART", -1);
		close(fd);
		pause_ms(roll(3));
	}
}

static int put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), ret;

	if (fd < 0)
		return -1;
	ret = write(fd, text, strlen(text));
	close(fd);
	return ret;
}

struct wish {
	const char *attribute, *value;
};

static void do_sysfs(unsigned long first, unsigned long last, unsigned long busy)
{
	static const struct wish wishes[] = {
		{ "online", "0" }, { "state", "offline" },
		{ "queue_mode", "mq" }, { "queue_mode", "bio" }, { "dax", "0" }, { "dax", "1" },
		{ "read_only", "0" }, { "read_only", "0" }, { "read_only", "1" }, { "nr_queues", "1" },
		{ "nr_queues", "0" }, { "poll_queues", "0" }, { "poll_queues", "1" },
		{ "queue_depth", "8" }, { "logical_block_size", "512" }, { "logical_block_size", "4096" },
	};
	static const struct wish others[] = {
		{ "online", "1" }, { "state", "online" }, { "state", "system-ram" }, { "online", "x" },
		{ "nr_queues", "99" }, { "read_only", "2" }
	};
	static const char *const reads[] = {
		"users", "state", "online", "queue_mode", "size", "wwid", "uevent", "dax_cost", "phys_addr"
	};
	char path[128], text[4096];

	while (go_on()) {
		bool refused = roll(2);
		unsigned long n = refused ? roll(busy) : first + roll(last - first + 1);
		const struct wish *wish = refused || roll(2) ? &PICK(wishes) : &PICK(others);
		int fd;

		snprintf(path, sizeof(path), BUS "karray%lu/%s", n, PICK(reads));
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0 && read(fd, text, sizeof(text)) < 0)
			trouble(path, -1);
		close(fd);

		snprintf(path, sizeof(path), BUS "karray%lu/%s", n, wish->attribute);
		if (put(path, wish->value) >= 0) {
			/* Who has it in use may end before we do. */
			if (refused && !stopped())
				fail("%s=%s: not refused, in use", path, wish->value);
		} else {
			troubles++;
			if (refused && errno != EBUSY)
				fail("%s=%s: refused with %m", path, wish->value);
		}
		/* Most writes are a line in the log. */
		pause_ms(roll(20));
		if (refused)
			continue;

		/* One sector is what a memory error makes bad. */
		snprintf(path, sizeof(path), "/sys/block/karrayb%lu/badblocks", n);
		snprintf(text, sizeof(text), "%lu 1\n", 2 * roll(100));
		if (!roll(8))
			put(path, text);
	}
}

/* Who needs memory, or must do without ----------------------------------- */

#define RECORD		(4 * BLOCK)
#define RECORDS		1024

static void do_append(const char *file)
{
	struct known *known = new_known(RECORDS);
	uint64_t *data = aligned_alloc(BLOCK, RECORD);
	int fd = open(file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	for (unsigned long n = 0; go_on(); n = (n + 1) % RECORDS) {
		unsigned long m = roll(RECORDS);

		for (int i = 0; i < RECORD / BLOCK; i++)
			make(data + i * WORDS, n, known[n].tried + 1);
		if (pwrite(fd, data, RECORD, n * RECORD) != RECORD || fsync(fd)) {
			fail("write: %m");
			break;
		}
		known[n].sure = ++known[n].tried;
		known[n].any = false;

		/* Not from the page cache, where that can be had. */
		posix_fadvise(fd, m * RECORD, RECORD, POSIX_FADV_DONTNEED);
		if (known[m].any)
			continue;
		if (pread(fd, data, RECORD, m * RECORD) != RECORD)
			fail("read: %m");
		for (int i = 0; i < RECORD / BLOCK; i++)
			check(data + i * WORDS, &known[m], m);
	}
}

static void do_hog(unsigned long mib)
{
	unsigned long pages = mib << 8, i;
	uint64_t *memory = mmap(NULL, pages * BLOCK, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint32_t *version = calloc(pages, sizeof(*version));

	/* If anybody must be killed, then this one. */
	put("/proc/self/oom_score_adj", "1000");
	for (i = 0; i < pages && go_on(); i++)
		make(memory + i * WORDS, i, version[i]);
	while (go_on()) {
		/* Half of the time in turn, half of it anywhere. */
		unsigned long n = roll(2) ? i++ % pages : roll(pages);

		if (!is_version(memory + n * WORDS, n, version[n]))
			fail("page %lu has not kept what was in it", n);
		make(memory + n * WORDS, n, ++version[n]);
	}
}

int main(int argc, char **argv)
{
	const char *role = argc > 3 ? argv[2] : "";
	unsigned long args[2] = { 0 };
	char path[128];

	for (const char *c = argc > 1 ? argv[1] : ""; *c; c++)
		key = (key ^ *c) * 0x100000001b3;
	state = key + (getenv("KARRAY_SEED") ? strtoull(getenv("KARRAY_SEED"), NULL, 0) : 0);
	snprintf(path, sizeof(path), "/run/storm.%s", argc > 1 ? argv[1] : "");
	count_fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (argc == 7) {
		strict = !strcmp(argv[4], "strict");
		loose = !strcmp(argv[4], "loose");
		args[0] = strtoul(argv[5], NULL, 0);
		args[1] = strtoul(argv[6], NULL, 0);
	}
	if (argc == 7 && !strcmp(role, "io"))
		do_io(argv[3], args[0], args[1]);
	else if (argc == 7 && !strcmp(role, "map"))
		do_map(argv[3], args[0], args[1]);
	else if (argc == 5 && !strcmp(role, "open"))
		do_open(strtoul(argv[3], NULL, 0), strtoul(argv[4], NULL, 0));
	else if (argc == 6 && !strcmp(role, "sysfs"))
		do_sysfs(strtoul(argv[3], NULL, 0), strtoul(argv[4], NULL, 0), strtoul(argv[5], NULL, 0));
	else if (argc == 4 && !strcmp(role, "append"))
		do_append(argv[3]);
	else if (argc == 4 && !strcmp(role, "hog"))
		do_hog(strtoul(argv[3], NULL, 0));
	else
		return 2;
	tell();
	printf("%lu times, %lu errors\n", count, troubles);
	return failures ? 1 : 0;
}
