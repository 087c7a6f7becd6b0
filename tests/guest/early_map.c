// SPDX-License-Identifier: GPL-2.0
/*
 * Opens a node as soon as there is a device, maps its first page, and stores to it until
 * that raises a signal: prints which.
 *
 * usage: early_map NODE
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "touch.h"

int main(int argc, char **argv)
{
	int fd, signal;
	char *p;

	if (argc != 2)
		return 2;
	do {
		fd = open(argv[1], O_RDWR);
	} while (fd < 0);
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	*(volatile char *)p = 1;
	puts("mapped");
	fflush(stdout);
	do {
		signal = touch(p, true);
	} while (!signal);
	printf("SIG%s\n", sigabbrev_np(signal));
	return 0;
}
