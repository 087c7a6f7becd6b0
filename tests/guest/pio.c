// SPDX-License-Identifier: GPL-2.0
/*
 * One read or write, and what came of it: prints how many bytes were moved, or the
 * name of the error. What is written tells where it belongs, and what is read can be
 * checked against that.
 *
 * usage: pio [-cdhnpsz] [-b BYTES] [-k KEY] [-t TIMES] r|w FILE OFFSET LENGTH
 *
 *   -b BYTES  the buffer begins so many bytes behind a page's start
 *   -c        check what was read: prints "differs at OFFSET" where it is not
 *             what "w" with the same key writes there
 *   -d        O_DIRECT
 *   -h        a buffer of huge pages
 *   -k KEY    changes what is written (default: 0)
 *   -n        RWF_NOWAIT
 *   -p        RWF_HIPRI
 *   -s        RWF_DSYNC: a write with FUA
 *   -t TIMES  so often; prints "then" and the result that is not like the first
 *   -z        like -c, for zeros
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#define HUGE	((size_t)2 << 20)

/* Eight bytes of the file, wherever they are: all differ, under each key. */
static uint64_t word(uint64_t index, uint64_t key)
{
	uint64_t x = (index + 1) * 0x9e3779b97f4a7c15 + key * 0xbf58476d1ce4e5b9;

	return x ^ x >> 29;
}

/* The file's bytes from @offset on. */
static void contents(unsigned char *into, uint64_t offset, size_t len, uint64_t key)
{
	while (len) {
		uint64_t bytes = word(offset / 8, key) >> offset % 8 * 8;
		size_t some = 8 - offset % 8;

		if (some > len)
			some = len;
		memcpy(into, &bytes, some);
		into += some;
		offset += some;
		len -= some;
	}
}

/* How many bytes are as they should be, up to the first that isn't. */
static size_t same(const unsigned char *buf, uint64_t offset, size_t len, uint64_t key, int zeros)
{
	unsigned char want[4096] = { 0 };
	size_t at, some, i;

	for (at = 0; at < len; at += some) {
		some = len - at < sizeof(want) ? len - at : sizeof(want);
		if (!zeros)
			contents(want, offset + at, some, key);
		if (memcmp(buf + at, want, some)) {
			for (i = 0; buf[at + i] == want[i]; i++)
				;
			return at + i;
		}
	}
	return len;
}

static unsigned char *alloc(size_t size)
{
	unsigned char *p = mmap(NULL, size + HUGE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		perror("mmap");
		exit(2);
	}
	return (unsigned char *)(((uintptr_t)p + HUGE - 1) & ~(HUGE - 1));
}

static void print(ssize_t result)
{
	if (result < 0)
		printf("%s", strerrorname_np(-result));
	else
		printf("%zd", result);
}

int main(int argc, char **argv)
{
	int open_flags = 0, rw_flags = 0, check = 0, zeros = 0, huge = 0;
	int opt, fd, write;
	unsigned long times = 1, i;
	uint64_t offset, key = 0;
	ssize_t ret = 0, first = 0;
	unsigned char *buf;
	size_t behind = 0;
	struct iovec vec;

	while ((opt = getopt(argc, argv, "b:cdhk:npst:z")) != -1) {
		switch (opt) {
		case 'b':
			behind = strtoull(optarg, NULL, 0);
			break;
		case 'c':
			check = 1;
			break;
		case 'd':
			open_flags |= O_DIRECT;
			break;
		case 'h':
			huge = 1;
			break;
		case 'k':
			key = strtoull(optarg, NULL, 0);
			break;
		case 'n':
			rw_flags |= RWF_NOWAIT;
			break;
		case 'p':
			rw_flags |= RWF_HIPRI;
			break;
		case 's':
			rw_flags |= RWF_DSYNC;
			break;
		case 't':
			times = strtoul(optarg, NULL, 0);
			break;
		case 'z':
			check = 1;
			zeros = 1;
			break;
		default:
			return 2;
		}
	}
	argv += optind;
	if (argc - optind != 4 || !strchr("rw", argv[0][0]))
		return 2;
	write = argv[0][0] == 'w';
	offset = strtoull(argv[2], NULL, 0);
	vec.iov_len = strtoull(argv[3], NULL, 0);

	fd = open(argv[1], open_flags | (write ? O_WRONLY : O_RDONLY));
	if (fd < 0) {
		print(-errno);
		putchar('\n');
		return 1;
	}

	buf = alloc(behind + vec.iov_len);
	madvise(buf, behind + vec.iov_len, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	buf += behind;
	vec.iov_base = buf;
	memset(buf, 0xee, vec.iov_len);
	if (write)
		contents(buf, offset, vec.iov_len, key);

	for (i = 0; i < times; i++) {
		ret = write ? pwritev2(fd, &vec, 1, offset, rw_flags) :
			      preadv2(fd, &vec, 1, offset, rw_flags);
		if (ret < 0)
			ret = -errno;
		if (!i)
			first = ret;
		if (ret != first)
			break;
	}
	print(first);
	if (ret != first) {
		printf(", then ");
		print(ret);
	}
	if (check && ret > 0) {
		i = same(buf, offset, ret, key, zeros);
		if (i < (size_t)ret)
			printf(", differs at %llu", (unsigned long long)offset + i);
	}
	putchar('\n');
	return 0;
}
