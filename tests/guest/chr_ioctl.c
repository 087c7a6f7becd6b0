// SPDX-License-Identifier: GPL-2.0
/*
 * The ioctls of include/uapi/linux/karray.h.
 *
 * usage: chr_ioctl NODE DISK SIZE PHYSICAL-ADDRESS
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/karray.h>
#include <stdint.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

#define MIB	(1UL << 20)

static int fd, ro;
static const char *node, *disk;
static uint64_t size, phys;

static bool refused(int ret, int error)
{
	return ret == -1 && errno == error;
}

static int fill(int file, uint64_t offset, uint64_t length, uint64_t pattern)
{
	struct karray_fill f = { .offset = offset, .length = length, .pattern = pattern };

	return ioctl(file, KARRAY_IOC_FILL, &f);
}

static int checksum(uint64_t offset, uint64_t length, uint32_t *sum)
{
	struct karray_checksum c = { .offset = offset, .length = length, .sum = *sum };
	int ret = ioctl(fd, KARRAY_IOC_CHECKSUM, &c);

	*sum = c.sum;
	return ret;
}

static int compare(uint64_t a, uint64_t b, uint64_t length, uint64_t *equal)
{
	struct karray_compare c = { .offset = a, .other = b, .length = length, .equal = 99 };
	int ret = ioctl(fd, KARRAY_IOC_COMPARE, &c);

	*equal = c.equal;
	return ret;
}

TEST(test_info)
{
	struct karray_info info;
	struct stat st;
	int status;

	memset(&info, 0xff, sizeof(info));
	ok(!ioctl(ro, KARRAY_IOC_INFO, &info), "INFO");
	ok(info.size == size && info.start == phys, "size and address");
	ok(info.version == KARRAY_UAPI_VERSION && info.id == 0 && info.node >= -1 &&
	   info.flags == KARRAY_INFO_DISK && info.bad_ranges == 0, "version, number, node, flags");
	ok(!stat(disk, &st) && major(st.st_rdev) == info.disk_major &&
	   minor(st.st_rdev) == info.disk_minor, "the disk's number");
	for (int i = 0; i < 5; i++)
		if (info.reserved[i])
			info.size = 0;
	ok(info.size, "the rest is 0");
	if (!fork()) {
		if (setuid(1000))
			_exit(1);
		_exit(ioctl(fd, KARRAY_IOC_INFO, &info) || info.start);
	}
	ok(wait(&status) > 0 && !status, "no address without privilege");
}

TEST(test_fill)
{
	static unsigned char window[16384], model[16384];
	const unsigned char pattern[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	uint64_t word, at = size / 2;
	int bad = 0;

	memcpy(&word, pattern, 8);
	for (int i = 0; i < 400; i++) {
		size_t from = 4096 + rand() % 32, len = i < 100 ? i : rand() % 8000;

		memset(model, 0xee, sizeof(model));
		if (pwrite(fd, model, sizeof(model), at) != sizeof(model))
			bad++;
		for (size_t j = 0; j < len; j++)
			model[from + j] = i & 1 ? pattern[j % 8] : 0;
		if (fill(fd, at + from, len, i & 1 ? word : 0) ||
		    pread(fd, window, sizeof(window), at) != sizeof(window) ||
		    memcmp(window, model, sizeof(model)))
			bad++;
	}
	ok(!bad, "400 fills at any alignment, %d bad", bad);
	ok(!fill(fd, 0, size, word), "fill it all");
	ok(pread(fd, window, 8, size - 8) == 8 && !memcmp(window, pattern, 8), "to the end");
	ok(!fill(fd, 0, size, 0), "zero it all");
	ok(!fill(fd, 0, 0, 1) && !fill(fd, size, 0, 1), "fill nothing");
	ok(refused(fill(fd, size, 1, 0), EINVAL), "past the end: EINVAL");
	ok(refused(fill(fd, 1, size, 0), EINVAL), "across the end: EINVAL");
	ok(refused(fill(fd, -1ULL, 2, 0), EINVAL), "around the end of numbers: EINVAL");
	ok(refused(fill(fd, 2, -1ULL, 0), EINVAL), "likewise by the length: EINVAL");
	ok(refused(fill(ro, 0, 1, 0), EBADF), "through a read-only file: EBADF");
}

TEST(test_checksum)
{
	uint32_t sum = 0, parts = 0;
	uint64_t equal;

	if (pwrite(fd, "123456789", 9, 12345) != 9)
		abort();
	ok(!checksum(12345, 9, &sum) && sum == 0xe3069283,
	   "CRC-32C of 123456789");
	ok(!checksum(12345, 4, &parts) && !checksum(12349, 5, &parts) && parts == sum,
	   "in two pieces");
	sum = 0;
	ok(!checksum(0, size, &sum), "of everything");
	parts = 0;
	ok(!checksum(0, size / 3, &parts) && !checksum(size / 3, size - size / 3, &parts) &&
	   parts == sum, "in two pieces");
	parts = 7;
	ok(!checksum(size, 0, &parts) && parts == 7, "of nothing");
	ok(refused(checksum(size - 1, 2, &parts), EINVAL) && parts == 7, "across the end: EINVAL");

	ok(!compare(0, 64 * MIB, 64 * MIB, &equal) && equal == 12345, "compare: where they differ");
	ok(!compare(12345 + 9, 64 * MIB + 1, 32 * MIB, &equal) && equal == 32 * MIB,
	   "compare: equal");
	ok(!compare(12345, 12345, size - 12345, &equal) && equal == size - 12345,
	   "compare: a range with itself");
	ok(!compare(0, size, 0, &equal) && equal == 0, "compare: nothing");
	ok(refused(compare(0, size - 1, 2, &equal), EINVAL) && equal == 99,
	   "across the end: EINVAL");
}

static void make_bad(uint64_t sector, unsigned int n)
{
	FILE *file = fopen("/sys/block/karrayb0/badblocks", "w");

	ok(file, "the list of bad sectors can be written");
	fprintf(file, "%llu %u\n", (unsigned long long)sector, n);
	fclose(file);
}

TEST(test_bad)
{
	struct karray_bad_range list[4];
	struct karray_bad bad = { .length = size, .ranges = (uintptr_t)list, .count = 4 };
	struct karray_info info;
	uint32_t sum = 0;
	uint64_t equal;
	char c;

	ok(!ioctl(ro, KARRAY_IOC_BAD, &bad) && bad.count == 0, "no bad ranges");
	make_bad(8, 2);
	make_bad(100, 512);	/* more at a time is too much for v6.1's list */
	make_bad(612, 88);
	make_bad(MIB / 512, 512);
	make_bad(MIB / 512 + 512, 300);
	make_bad(size / 512 - 1, 1);
	bad.count = 4;
	ok(!ioctl(ro, KARRAY_IOC_BAD, &bad) && bad.count == 4 &&
	   list[0].offset == 4096 && list[0].length == 1024 &&
	   list[1].offset == 51200 && list[1].length == 600 * 512 &&
	   list[2].offset == MIB && list[2].length == 812 * 512 &&
	   list[3].offset == size - 512 && list[3].length == 512, "four bad ranges");
	bad.count = 1;
	list[1].offset = 1;
	ok(!ioctl(ro, KARRAY_IOC_BAD, &bad) && bad.count == 4 && list[1].offset == 1,
	   "room for one: told of four");
	bad = (struct karray_bad){ .offset = 4700, .length = 60000,
				   .ranges = (uintptr_t)list, .count = 4 };
	ok(!ioctl(ro, KARRAY_IOC_BAD, &bad) && bad.count == 2 && list[0].offset == 4608 &&
	   list[0].length == 512 && list[1].offset == 51200 &&
	   list[1].length == (4700 + 60000 + 511) / 512 * 512 - 51200,
	   "those that meet a range");
	bad = (struct karray_bad){ .length = size, .count = 0 };
	ok(!ioctl(ro, KARRAY_IOC_BAD, &bad) && bad.count == 4, "count only");
	ok(!ioctl(ro, KARRAY_IOC_INFO, &info) && info.bad_ranges == 4, "as INFO does");
	bad.count = 1;
	ok(refused(ioctl(ro, KARRAY_IOC_BAD, &bad), EFAULT), "nowhere to store them: EFAULT");

	ok(refused(checksum(0, MIB, &sum), EIO) && !sum, "checksum: EIO");
	ok(refused(compare(0, 8 * MIB, MIB, &equal), EIO), "compare: EIO");
	ok(refused(fill(fd, 0, 4097, 0), EIO), "fill a part of a bad sector: EIO");
	ok(pread(fd, &c, 1, 4096) == -1 && errno == EIO, "it's still bad");
	ok(!fill(fd, 1000, size - 1000, 0) && !checksum(0, size, &sum), "fill all: good again");
	bad.count = 0;
	ok(!ioctl(ro, KARRAY_IOC_BAD, &bad) && bad.count == 0, "none is left");
}

/* What is wrong must be refused, and nothing may happen. */
TEST(test_wrong)
{
	const unsigned int all[] = { KARRAY_IOC_INFO, KARRAY_IOC_FILL, KARRAY_IOC_CHECKSUM,
				     KARRAY_IOC_COMPARE, KARRAY_IOC_BAD };
	struct karray_fill f = { .length = 1, .flags = 1 };
	struct karray_checksum s = { .length = 1, .type = 1 };
	struct karray_compare m = { .length = 1, .reserved = 1 };
	struct karray_bad b = { .length = 1, .flags = 1 };
	char *edge = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int bad = 0;

	int wo = open(node, O_WRONLY);

	ok(refused(ioctl(wo, KARRAY_IOC_CHECKSUM, &s), EBADF),
	   "checksum: a write-only file: EBADF");
	ok(refused(ioctl(wo, KARRAY_IOC_COMPARE, &m), EBADF), "compare: likewise");
	close(wo);
	ok(refused(ioctl(fd, KARRAY_IOC_FILL, &f), EINVAL), "an unknown flag: EINVAL");
	ok(refused(ioctl(fd, KARRAY_IOC_CHECKSUM, &s), EINVAL), "an unknown type: EINVAL");
	ok(refused(ioctl(fd, KARRAY_IOC_COMPARE, &m), EINVAL), "something reserved: EINVAL");
	ok(refused(ioctl(fd, KARRAY_IOC_BAD, &b), EINVAL), "an unknown flag: EINVAL");
	munmap(edge + 4096, 4096);
	for (int i = 0; i < 5; i++) {
		if (!refused(ioctl(fd, all[i], NULL), EFAULT) ||
		    !refused(ioctl(fd, all[i], edge + 4096 - 8), EFAULT) ||
		    !refused(ioctl(fd, all[i], (void *)-8L), EFAULT))
			bad++;
		for (int bit = 0; bit < 32; bit++) {
			unsigned int other = all[i] ^ 1U << bit;

			if (!refused(ioctl(fd, other, edge), ENOTTY) && bit > 2)
				bad++;
		}
	}
	ok(!bad, "bad pointers: EFAULT; other sizes and directions: ENOTTY");
	for (int i = 0; i < 20000; i++) {
		uint64_t words[8];

		for (int w = 0; w < 8; w++)
			words[w] = rand() % 3 ? 0 : (uint64_t)rand() << (rand() % 34);
		ioctl(rand() & 1 ? fd : ro, all[rand() % 5], words);
	}
	ok(!ioctl(fd, KARRAY_IOC_PING), "20000 random requests");
}

TEST(test_kill)
{
	pid_t child = fork();
	int status;

	if (!child)
		for (;;)
			fill(fd, 0, size, 1);
	usleep(50000);
	kill(child, SIGKILL);
	ok(waitpid(child, &status, 0) == child && WIFSIGNALED(status), "a long one can be killed");
}

static const struct CMUnitTest tests[] = {
	{ .name = "INFO", .test_func = test_info },
	{ .name = "FILL", .test_func = test_fill },
	{ .name = "CHECKSUM and COMPARE", .test_func = test_checksum },
	{ .name = "BAD", .test_func = test_bad },
	{ .name = "what is wrong, and 20000 random requests", .test_func = test_wrong },
	{ .name = "a request that is killed", .test_func = test_kill },
};

int main(int argc, char **argv)
{
	if (argc != 5)
		return 2;
	node = argv[1];
	fd = open(node, O_RDWR);
	ro = open(argv[1], O_RDONLY);
	disk = argv[2];
	size = strtoull(argv[3], NULL, 0);
	phys = strtoull(argv[4], NULL, 0);
	if (fd < 0 || ro < 0) {
		perror("chr_ioctl: open");
		return 2;
	}
	return run(tests);
}
