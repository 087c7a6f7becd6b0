// SPDX-License-Identifier: GPL-2.0
/*
 * One ioctl of include/uapi/linux/karray.h, and what came of it: prints the members
 * that the kernel has set, or the name of the error. It is built for 64 and 32 bits,
 * and says the same with both.
 *
 * usage: ioctl NODE info
 *        ioctl NODE fill OFFSET LENGTH PATTERN
 *        ioctl NODE checksum OFFSET LENGTH SUM
 *        ioctl NODE compare OFFSET OTHER LENGTH
 *        ioctl NODE bad OFFSET LENGTH COUNT	at most 16
 *        ioctl NODE REQUEST
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/karray.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

static int fd;

static int request(unsigned long code, void *arg)
{
	if (!ioctl(fd, code, arg))
		return 0;
	puts(strerrorname_np(errno));
	return 1;
}

static int info(void)
{
	struct karray_info i;

	memset(&i, 0xee, sizeof(i));
	if (request(KARRAY_IOC_INFO, &i))
		return 1;
	printf("%llu 0x%llx v%u flags %u id %u node %d disk %u:%u bad %u\n",
	       (unsigned long long)i.size, (unsigned long long)i.start, i.version, i.flags,
	       i.id, i.node, i.disk_major, i.disk_minor, i.bad_ranges);
	return 0;
}

static int fill(const uint64_t *args)
{
	struct karray_fill f = { .offset = args[0], .length = args[1], .pattern = args[2] };

	if (request(KARRAY_IOC_FILL, &f))
		return 1;
	puts("filled");
	return 0;
}

static int checksum(const uint64_t *args)
{
	struct karray_checksum c = { .offset = args[0], .length = args[1], .sum = args[2] };

	if (request(KARRAY_IOC_CHECKSUM, &c))
		return 1;
	printf("0x%08x\n", c.sum);
	return 0;
}

static int compare(const uint64_t *args)
{
	struct karray_compare c = { .offset = args[0], .other = args[1], .length = args[2] };

	if (request(KARRAY_IOC_COMPARE, &c))
		return 1;
	printf("%llu\n", (unsigned long long)c.equal);
	return 0;
}

static int bad(const uint64_t *args)
{
	struct karray_bad_range ranges[16];
	struct karray_bad b = {
		.offset = args[0], .length = args[1], .count = args[2],
		.ranges = (uintptr_t)ranges
	};

	memset(ranges, 0, sizeof(ranges));
	if (request(KARRAY_IOC_BAD, &b))
		return 1;
	printf("%u:", b.count);
	for (int i = 0; i < 16 && ranges[i].length; i++)
		printf(" %llu+%llu", (unsigned long long)ranges[i].offset,
		       (unsigned long long)ranges[i].length);
	puts("");
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*make)(const uint64_t *args);
	} kinds[] = {
		{ "fill", fill }, { "checksum", checksum }, { "compare", compare }, { "bad", bad }
	};
	uint64_t args[3] = { 0 };

	if (argc < 3)
		return 2;
	fd = open(argv[1], strcmp(argv[2], "fill") ? O_RDONLY : O_RDWR);
	if (fd < 0) {
		perror(argv[1]);
		return 2;
	}
	for (int i = 3; i < argc && i < 6; i++)
		args[i - 3] = strtoull(argv[i], NULL, 0);
	if (!strcmp(argv[2], "info"))
		return info();
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (!strcmp(argv[2], kinds[i].name))
			return kinds[i].make(args);
	if (request(strtoul(argv[2], NULL, 0), NULL))
		return 1;
	puts("0");
	return 0;
}
