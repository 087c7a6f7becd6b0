// SPDX-License-Identifier: GPL-2.0
/*
 * The char node and the disk's page cache show the same bytes, without sync.
 *
 * usage: chr_cache NODE DISK SIZE SEED
 *        chr_cache NODE PARTITION SIZE SEED START	a partition of the disk
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "unit.h"

#define WINDOW	(256 * 1024)
#define OPS	10000

static int fd, buffered, direct;
static off_t start, size;
static unsigned char *model, *back, *bounce;
static char *map;

static uint64_t seed;

static unsigned int rnd(unsigned int below)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (seed >> 33) % below;
}

static void fill(unsigned char *at, size_t len)
{
	for (size_t i = 0; i < len; i++)
		at[i] = rnd(256);
}

static void check_simple(off_t base)
{
	unsigned char a[8192], b[8192];
	struct iovec vec = { b, sizeof(b) };

	fill(a, sizeof(a));
	ok(pwrite(buffered, a, sizeof(a), base) == sizeof(a), "a buffered write to the disk");
	ok(preadv2(fd, &vec, 1, start + base, RWF_NOWAIT) == -1 && errno == EAGAIN,
	   "RWF_NOWAIT doesn't wait for it");
	ok(pread(fd, b, sizeof(b), start + base) == sizeof(b) && !memcmp(a, b, sizeof(a)),
	   "is seen by the next read");
	ok(preadv2(fd, &vec, 1, start + base, RWF_NOWAIT) == sizeof(b),
	   "RWF_NOWAIT gets it, too, now");
	fill(a + 100, 1000);
	vec = (struct iovec){ a + 100, 1000 };
	ok(pwritev2(fd, &vec, 1, start + base + 100, RWF_NOWAIT) == -1 && errno == EAGAIN,
	   "a RWF_NOWAIT write doesn't wait either");
	ok(pwrite(fd, a + 100, 1000, start + base + 100) == 1000, "a write");
	ok(pread(buffered, b, sizeof(b), base) == sizeof(b) && !memcmp(a, b, sizeof(a)),
	   "is seen by the next buffered read of the disk");
	fsync(buffered);
	ok(pread(direct, bounce, 8192, base) == 8192 && !memcmp(a, bounce, 8192),
	   "and stays when that syncs");
}

TEST(test_first_bytes)
{
	check_simple(0);
}

TEST(test_last_bytes)
{
	check_simple(size - 8192);
}

/* Ten thousand operations against a model in memory. */
TEST(test_model)
{
	const off_t base = 1 << 20;
	bool mapped_last = false;
	int bad = 0;

	memset(model, 0, WINDOW);
	if (pwrite(fd, model, WINDOW, start + base) != WINDOW)
		abort();
	map = mmap(NULL, WINDOW, PROT_READ | PROT_WRITE, MAP_SHARED, fd, start + base);
	if (map == MAP_FAILED)
		abort();
	for (int i = 0; i < OPS && !bad; i++) {
		size_t len = 1 + rnd(rnd(4) ? 600 : 20000), at = rnd(WINDOW - len);
		size_t at512 = at & ~511UL, len512 = ((at + len + 511) & ~511UL) - at512;
		unsigned int op = rnd(8);
		bool mapped = op >= 6;

		if (mapped != mapped_last)
			bad += !!msync(map, WINDOW, MS_SYNC);
		mapped_last = mapped;
		if (op & 1) {
			fill(bounce, len512);
			memcpy(model + (op == 3 ? at512 : at), bounce, op == 3 ? len512 : len);
		}
		switch (op) {
		case 0:
			bad += pread(fd, back, len, start + base + at) != (ssize_t)len ||
			       memcmp(back, model + at, len);
			break;
		case 1:
			bad += pwrite(fd, bounce, len, start + base + at) != (ssize_t)len;
			break;
		case 2:
			bad += pread(direct, bounce, len512, base + at512) != (ssize_t)len512 ||
			       memcmp(bounce, model + at512, len512);
			break;
		case 3:
			bad += pwrite(direct, bounce, len512, base + at512) != (ssize_t)len512;
			break;
		case 4:
			bad += pread(buffered, back, len, base + at) != (ssize_t)len ||
			       memcmp(back, model + at, len);
			break;
		case 5:
			bad += pwrite(buffered, bounce, len, base + at) != (ssize_t)len;
			break;
		case 6:
			bad += !!memcmp(map + at, model + at, len);
			break;
		case 7:
			memcpy(map + at, bounce, len);
			break;
		}
		if (bad)
			printf("# operation %d, kind %u, at %zu, length %zu\n", i, op, at, len);
	}
	ok(!bad, "see above");
	munmap(map, WINDOW);
}

static void *write_from(void *memory)
{
	return (void *)pwrite(fd, memory, 512, start);
}

/* While a write waits for its user's page, the disk is written beside it. */
TEST(test_slow_user)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct uffdio_copy copy = { .len = 4096 };
	int faults = syscall(SYS_userfaultfd, O_CLOEXEC);
	struct uffd_msg msg;
	pthread_t thread;
	void *memory, *result;

	memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	reg.range.start = (uintptr_t)memory;
	copy.dst = (uintptr_t)memory;
	reg.range.len = 4096;
	copy.src = (uintptr_t)bounce;
	ok(faults >= 0 && !ioctl(faults, UFFDIO_API, &api) &&
	   !ioctl(faults, UFFDIO_REGISTER, &reg), "userfaultfd");
	memset(model, 'o', 4096);
	ok(pwrite(fd, model, 4096, start) == 4096, "a page of it");
	pthread_create(&thread, NULL, write_from, memory);
	ok(read(faults, &msg, sizeof(msg)) == sizeof(msg), "the write faults");
	memset(model + 512, 'd', 512);
	ok(pwrite(buffered, model + 512, 512, 512) == 512, "the disk is written");
	memset(bounce, 'c', 4096);
	memset(model, 'c', 512);
	ok(!ioctl(faults, UFFDIO_COPY, &copy), "the fault gets its page");
	pthread_join(thread, &result);
	ok((ssize_t)result == 512, "and the write is done");
	ok(pread(fd, back, 4096, start) == 4096 && !memcmp(back, model, 4096), "both are there");
	ok(pread(buffered, back, 4096, 0) == 4096 && !memcmp(back, model, 4096),
	   "for the disk, too");
	close(faults);
	munmap(memory, 4096);
}

static const struct CMUnitTest tests[] = {
	{ .name = "the first bytes, by one view and the other", .test_func = test_first_bytes },
	{ .name = "the last", .test_func = test_last_bytes },
	{ .name = "a write whose memory comes late", .test_func = test_slow_user },
	{ .name = "10000 operations by five ways", .test_func = test_model },
};

int main(int argc, char **argv)
{
	if (argc < 5)
		return 2;
	fd = open(argv[1], O_RDWR);
	buffered = open(argv[2], O_RDWR);
	direct = open(argv[2], O_RDWR | O_DIRECT);
	size = atoll(argv[3]);
	seed = strtoull(argv[4], NULL, 0);
	start = argc > 5 ? atoll(argv[5]) : 0;
	if (fd < 0 || buffered < 0 || direct < 0) {
		perror("chr_cache: open");
		return 2;
	}
	printf("# seed %llu\n", (unsigned long long)seed);
	model = malloc(WINDOW);
	back = malloc(WINDOW);
	bounce = mmap(NULL, WINDOW, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return run(tests);
}
