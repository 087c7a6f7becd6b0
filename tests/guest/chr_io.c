// SPDX-License-Identifier: GPL-2.0
/*
 * Reads, writes, seeks and other calls on the char node, at the edges and at every
 * alignment, and the same bytes through the disk.
 *
 * usage: chr_io /dev/karray /dev/karrayb0 SIZE
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

#define WINDOW	(3 * 4096)

static int fd, disk;
static const char *path;
static off_t size;

static void fill(unsigned char *buf, size_t len, unsigned int seed)
{
	for (size_t i = 0; i < len; i++) {
		seed = seed * 1103515245 + 12345;
		buf[i] = seed >> 16;
	}
}

/* Was the last call refused with this error? */
static bool refused(ssize_t ret, int error)
{
	return ret == -1 && errno == error;
}

TEST(test_end)
{
	unsigned char buf[64], back[64];

	fill(buf, sizeof(buf), 1);
	ok(pwrite(fd, buf, 64, size - 64) == 64, "write the last 64 bytes");
	ok(pread(fd, back, 64, size - 64) == 64 && !memcmp(buf, back, 64),
	   "read them back");
	ok(pread(fd, back, 64, size - 10) == 10 && !memcmp(buf + 54, back, 10),
	   "read across the end: the bytes up to it");
	ok(pwrite(fd, buf, 64, size - 10) == 10, "write across the end: likewise");
	ok(pread(fd, back, 64, size) == 0, "read at the end: 0");
	ok(pread(fd, back, 64, size + 12345) == 0, "read past the end: 0");
	ok(refused(pwrite(fd, buf, 1, size), ENOSPC), "write at the end: ENOSPC");
	ok(refused(pwrite(fd, buf, 1, size + 1), ENOSPC), "write past the end: ENOSPC");
	ok(pwrite(fd, buf, 0, size) == 0, "write of nothing at the end: 0");
	ok(pread(fd, back, 0, 0) == 0, "read of nothing: 0");
	ok(refused(pread(fd, back, 1, -1), EINVAL), "read at -1: EINVAL");
	ok(pread(fd, back, 1, LLONG_MAX - 1) <= 0, "read at the end of all offsets");
	ok(pwrite(fd, back, 1, LLONG_MAX - 1) == -1, "write at the end of all offsets");
}

TEST(test_seek)
{
	char c;

	ok(lseek(fd, 0, SEEK_END) == size, "SEEK_END tells the size");
	ok(read(fd, &c, 1) == 0, "read there: 0");
	ok(lseek(fd, -1, SEEK_CUR) == size - 1, "SEEK_CUR");
	ok(read(fd, &c, 1) == 1 && lseek(fd, 0, SEEK_CUR) == size,
	   "a read moves the offset");
	ok(refused(lseek(fd, -1, SEEK_SET), EINVAL), "before the start: EINVAL");
	ok(refused(lseek(fd, size + 1, SEEK_SET), EINVAL), "past the end: EINVAL");
	ok(refused(lseek(fd, 0, 99), EINVAL), "unknown whence: EINVAL");
}

/*
 * Every alignment of device and memory within a cache line's worth, against a
 * model: what should change does, and nothing beside it.
 */
TEST(test_alignment)
{
	static const size_t lens[] = {
		1, 2, 3, 7, 8, 9, 31, 63, 64, 65, 511, 512, 513, 4095, 4096, 4097
	};
	unsigned char *model = malloc(WINDOW), *back = malloc(WINDOW);
	unsigned char *user = malloc(2 * WINDOW);
	off_t base = size / 2 - WINDOW / 2;
	int bad = 0, n = 0;

	ok(model && back && user, "memory to compare with");
	fill(model, WINDOW, 2);
	if (pwrite(fd, model, WINDOW, base) != WINDOW)
		bad++;
	for (size_t l = 0; l < sizeof(lens) / sizeof(*lens); l++) {
		for (int dev = 0; dev < 16; dev++) {
			for (int mem = 0; mem < 16; mem++, n++) {
				size_t at = 4096 - 8 + dev;

				fill(user + mem, lens[l], n);
				memcpy(model + at, user + mem, lens[l]);
				if (pwrite(fd, user + mem, lens[l], base + at) !=
				    (ssize_t)lens[l])
					bad++;
				memset(user + mem, 0, lens[l]);
				if (pread(fd, user + mem, lens[l], base + at) !=
				    (ssize_t)lens[l] ||
				    memcmp(user + mem, model + at, lens[l]))
					bad++;
			}
		}
		if (pread(fd, back, WINDOW, base) != WINDOW ||
		    memcmp(back, model, WINDOW))
			bad++;
	}
	ok(!bad, "%d writes and reads at every alignment, %d bad", n, bad);
	free(user);
	free(back);
	free(model);
}

TEST(test_vectors)
{
	unsigned char a[100], b[5000], back[5100];
	struct iovec out[] = { { a, sizeof(a) }, { NULL, 0 }, { b, sizeof(b) } };
	struct iovec in[] = { { back, 1 }, { back + 1, 5099 } };

	fill(a, sizeof(a), 3);
	fill(b, sizeof(b), 4);
	ok(pwritev(fd, out, 3, 777) == 5100, "pwritev of three segments");
	ok(preadv(fd, in, 2, 777) == 5100 && !memcmp(back, a, 100) &&
	   !memcmp(back + 100, b, 5000), "preadv of two gives the same bytes");
	ok(preadv2(fd, in, 2, 777, RWF_NOWAIT) == 5100, "RWF_NOWAIT");
}

TEST(test_bad_memory)
{
	char *two = mmap(NULL, 2 * 4096, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec vec[] = { { two, 4096 }, { two + 4096, 4096 } };
	void *volatile nowhere = NULL;

	mprotect(two + 4096, 4096, PROT_NONE);
	ok(refused(pread(fd, two + 4096, 10, 0), EFAULT), "read to bad memory: EFAULT");
	ok(refused(pwrite(fd, two + 4096, 10, 0), EFAULT), "write from bad memory: EFAULT");
	ok(pread(fd, two + 96, 8000, 0) == 4000, "read: the bytes before bad memory");
	ok(pwrite(fd, two + 96, 8000, 8192) == 4000, "write: likewise");
	ok(preadv(fd, vec, 2, 0) == 4096, "readv: likewise");
	ok(refused(pread(fd, (void *)-4096L, 10, 0), EFAULT), "read to a kernel address: EFAULT");
	ok(refused(pread(fd, nowhere, 10, 0), EFAULT), "read to NULL: EFAULT");

	/* Pages that are not there yet are fetched. */
	munmap(two, 2 * 4096);
	two = mmap(NULL, 8 << 20, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ok(pread(fd, two, 8 << 20, 0) == 8 << 20, "8 MiB to untouched memory");
	madvise(two, 8 << 20, MADV_DONTNEED);
	ok(pwrite(fd, two, 8 << 20, 16 << 20) == 8 << 20, "8 MiB from untouched memory");
	munmap(two, 8 << 20);
}

TEST(test_splice)
{
	unsigned char a[8192], b[8192];
	loff_t at = 4096 * 7 + 5, to = size - 5000;
	int p[2], file = memfd_create("copy", 0);
	off_t from = at;

	fill(a, sizeof(a), 5);
	if (pipe(p) || pwrite(fd, a, sizeof(a), at) != sizeof(a))
		abort();
	ok(splice(fd, &at, p[1], NULL, 8192, 0) == 8192 && at == 4096 * 9 + 5 &&
	   read(p[0], b, 8192) == 8192 && !memcmp(a, b, 8192), "splice to a pipe");
	at = size - 100;
	ok(splice(fd, &at, p[1], NULL, 8192, 0) == 100 && read(p[0], b, 200) == 100,
	   "up to the end");
	ok(splice(fd, &at, p[1], NULL, 8192, 0) == 0, "and there: 0");
	ok(write(p[1], a, 8192) == 8192 &&
	   splice(p[0], NULL, fd, &to, 8192, 0) == 5000 && to == size,
	   "splice from a pipe, up to the end");
	ok(refused(splice(p[0], NULL, fd, &to, 8192, 0), ENOSPC), "and there: ENOSPC");
	ok(pread(fd, b, 5000, size - 5000) == 5000 && !memcmp(a, b, 5000), "the same bytes");
	ok(sendfile(file, fd, &from, 8192) == 8192 && pread(file, b, 8192, 0) == 8192 &&
	   !memcmp(a, b, 8192), "sendfile to a file");
	lseek(fd, 1 << 20, SEEK_SET);
	from = 0;
	memset(b, 0, sizeof(b));
	ok(sendfile(fd, file, &from, 8192) == 8192 && pread(fd, b, 8192, 1 << 20) == 8192 &&
	   !memcmp(a, b, 8192), "and from it");
	close(p[0]);
	close(p[1]);
	close(file);
}

static void on_alarm(int signal)
{
	(void)signal;
}

/* One call that moves a GiB, in and out of the same MiB: as with a file, a signal
 * that doesn't kill doesn't shorten it.
 */
TEST(test_signal)
{
	static struct iovec vec[1024];
	struct itimerval often = {
		.it_interval.tv_usec = 2000, .it_value.tv_usec = 1000
	};
	struct sigaction action = { .sa_handler = on_alarm };
	char *mib = calloc(1, 1 << 20);
	pid_t child;
	int status;

	for (int i = 0; i < 1024; i++)
		vec[i] = (struct iovec){ mib, 1 << 20 };
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	ok(preadv(fd, vec, 1024, 0) == 1 << 30, "signals don't shorten a read of a GiB");
	often.it_value.tv_usec = 0;
	setitimer(ITIMER_REAL, &often, NULL);

	child = fork();
	if (!child)
		for (;;)
			if (preadv(fd, vec, 1024, 0) != 1 << 30)
				_exit(1);
	usleep(20000);
	kill(child, SIGKILL);
	ok(waitpid(child, &status, 0) == child && WIFSIGNALED(status),
	   "but one that kills does");
	free(mib);
}

TEST(test_both_views)
{
	unsigned char *buf, *back;
	int bad = 0;

	if (posix_memalign((void **)&buf, 4096, 65536) ||
	    posix_memalign((void **)&back, 4096, 65536))
		abort();
	for (int i = 0; i < 16; i++) {
		off_t at = (off_t)i * (size / 16);

		fill(buf, 65536, i);
		if (pwrite(fd, buf, 65536, at) != 65536 ||
		    pread(disk, back, 65536, at) != 65536 ||
		    memcmp(buf, back, 65536))
			bad++;
		fill(buf, 65536, i + 100);
		if (pwrite(disk, buf, 65536, at) != 65536 ||
		    pread(fd, back, 65536, at) != 65536 ||
		    memcmp(buf, back, 65536))
			bad++;
	}
	ok(!bad, "the char node and the disk show the same bytes, %d bad", bad);
	free(buf);
	free(back);
}

/* Requests that the VFS answers itself, for any file. */
static bool vfs_request(unsigned int request)
{
	switch (request) {
	case 2:				/* FIGETBSZ */
	case 0x5421:			/* FIONBIO */
	case 0x5450:			/* FIONCLEX */
	case 0x5451:			/* FIOCLEX */
	case 0x5452:			/* FIOASYNC */
	case 0x5460:			/* FIOQSIZE */
		return true;
	}
	return (request >> 8 & 0xff) == 'X' || (request >> 8 & 0xff) == 'f' ||
	       (request >> 8 & 0xff) == 0x94 || (request >> 8 & 0xff) == 0x15;
}

TEST(test_ioctl)
{
	unsigned int seed = 42;
	int bad = 0;

	ok(ioctl(fd, 42) == 0, "ioctl 42: 0");
	for (unsigned int request = 0; request < 20000; request++) {
		unsigned int r = request;

		if (request >= 10000) {
			fill((unsigned char *)&r, sizeof(r), seed++);
			seed += r;
		}
		if (r == 42 || vfs_request(r))
			continue;
		if (!refused(ioctl(fd, r, (void *)(uintptr_t)r), ENOTTY)) {
			printf("# request 0x%x: %s\n", r, strerror(errno));
			bad++;
		}
	}
	ok(!bad, "20000 other requests: ENOTTY, %d not so", bad);
}

TEST(test_other_calls)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN | POLLOUT };
	struct stat st;
	int other, bad = 0;
	char c = 0;

	ok(poll(&poll_fd, 1, 0) == 1 && poll_fd.revents == (POLLIN | POLLOUT),
	   "poll: ready to be read and written");
	ok(!fstat(fd, &st) && S_ISCHR(st.st_mode) && (st.st_mode & 0777) == 0600,
	   "a char device of mode 0600");
	ok(st.st_size == 0, "of no size, as every device node");
	ok(!fsync(fd) && !fdatasync(fd), "fsync and fdatasync");
	ok(refused(fallocate(fd, 0, 0, 4096), ENODEV), "fallocate: ENODEV");
	ok(refused(ftruncate(fd, 0), EINVAL), "ftruncate: EINVAL");
	for (int advice = 0; advice < 6; advice++)
		if (posix_fadvise(fd, 0, 0, advice))
			bad++;
	ok(!bad && posix_fadvise(fd, 0, 0, 99) == EINVAL, "fadvise");
	ok(refused(readahead(fd, 0, 4096), EINVAL), "readahead: EINVAL");
	ok(refused(sync_file_range(fd, 0, 4096, 7), ESPIPE), "sync_file_range: ESPIPE");
	ok(copy_file_range(fd, NULL, fd, NULL, 10, 0) == -1, "copy_file_range is refused");

	other = open(path, O_RDONLY);
	ok(other >= 0 && refused(pwrite(other, &c, 1, 0), EBADF),
	   "write to a read-only descriptor: EBADF");
	close(other);
	other = open(path, O_WRONLY);
	ok(other >= 0 && refused(pread(other, &c, 1, 0), EBADF),
	   "read from a write-only one: EBADF");
	close(other);
	other = open(path, O_RDWR | O_APPEND);
	ok(other >= 0 && refused(write(other, &c, 1), EINVAL),
	   "write to an appending one: EINVAL");
	close(other);
	other = open(path, O_RDWR | O_DIRECT);
	ok(other >= 0 && pread(other, &c, 1, 1) == 1, "O_DIRECT is accepted");
	close(other);
	ok(refused(open(path, O_RDWR | O_DIRECTORY), ENOTDIR), "O_DIRECTORY: ENOTDIR");
}

static const struct CMUnitTest tests[] = {
	{ .name = "reads and writes at the end", .test_func = test_end },
	{ .name = "seeks", .test_func = test_seek },
	{ .name = "every alignment", .test_func = test_alignment },
	{ .name = "readv, writev, RWF_NOWAIT", .test_func = test_vectors },
	{ .name = "user memory that isn't there", .test_func = test_bad_memory },
	{ .name = "splice and sendfile", .test_func = test_splice },
	{ .name = "signals", .test_func = test_signal },
	{ .name = "the same bytes as the disk", .test_func = test_both_views },
	{ .name = "20000 requests that there aren't", .test_func = test_ioctl },
	{ .name = "other system calls", .test_func = test_other_calls },
};

int main(int argc, char **argv)
{
	if (argc != 4) {
		fprintf(stderr, "usage: chr_io CHAR-NODE DISK SIZE\n");
		return 2;
	}
	path = argv[1];
	size = atoll(argv[3]);
	fd = open(path, O_RDWR);
	disk = open(argv[2], O_RDWR | O_DIRECT);
	if (fd < 0 || disk < 0) {
		perror("chr_io: open");
		return 2;
	}
	return run(tests);
}
