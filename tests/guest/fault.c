// SPDX-License-Identifier: GPL-2.0
/*
 * What a page fault costs: maps memory, touches a byte in every 2 MiB of it, and unmaps
 * it, again and again. Prints the nanoseconds that all touches took.
 *
 * usage: fault FILE SIZE LAPS
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define HUGE	((size_t)2 << 20)

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* All at the same address, where huge pages would fit. */
static char *map(int fd, size_t size)
{
	static char *where;
	char *p;

	if (!where) {
		where = mmap(NULL, size + HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		where = (char *)(((uintptr_t)where + HUGE - 1) & ~(HUGE - 1));
	}
	p = mmap(where, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
	if (p == MAP_FAILED) {
		perror("fault: mmap");
		exit(1);
	}
	return p;
}

int main(int argc, char **argv)
{
	uint64_t sum = 0, begin;
	size_t size;
	int fd;

	if (argc != 4)
		return 2;
	fd = open(argv[1], O_RDWR);
	if (fd < 0) {
		perror(argv[1]);
		return 1;
	}
	size = strtoull(argv[2], NULL, 0);
	for (int laps = atoi(argv[3]); laps; laps--) {
		volatile char *p = map(fd, size);

		begin = now();
		for (size_t at = 0; at < size; at += HUGE)
			(void)p[at];
		sum += now() - begin;
	}
	printf("%llu\n", (unsigned long long)sum);
	return 0;
}
