// SPDX-License-Identifier: GPL-2.0
/*
 * Maps a file, and reads a byte at each offset, or stores one: prints 0 or the signal
 * that it raises.
 *
 * usage: touch_file [-w] FILE OFFSET...
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "touch.h"

int main(int argc, char **argv)
{
	bool write = argc > 1 && !strcmp(argv[1], "-w");
	struct stat stat;
	char *p;
	int fd;

	argv += write;
	argc -= write;
	fd = argc > 2 ? open(argv[1], O_RDWR) : -1;
	if (fd < 0 || fstat(fd, &stat))
		return 2;
	p = mmap(NULL, stat.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return 2;
	for (int i = 2; i < argc; i++) {
		int signal = touch(p + atol(argv[i]), write);

		printf("%s%s\n", signal ? "SIG" : "0", signal ? sigabbrev_np(signal) : "");
	}
	return 0;
}
