// SPDX-License-Identifier: GPL-2.0
/*
 * Maps a file, and reads a byte at each offset, or stores one: prints 0 or the signal
 * that it raises. With -k it keeps the mapping until it's killed.
 *
 * usage: touch_file [-kw] FILE OFFSET...
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "touch.h"

int main(int argc, char **argv)
{
	bool keep = false, write = false;
	struct stat stat;
	char *p;
	int fd, c;

	while ((c = getopt(argc, argv, "kw")) != -1) {
		keep |= c == 'k';
		write |= c == 'w';
	}
	fd = optind < argc ? open(argv[optind++], O_RDWR) : -1;
	if (fd < 0 || fstat(fd, &stat))
		return 2;
	p = mmap(NULL, stat.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return 2;
	for (; optind < argc; optind++) {
		int signal = touch(p + atol(argv[optind]), write);

		printf("%s%s\n", signal ? "SIG" : "0", signal ? sigabbrev_np(signal) : "");
	}
	fflush(stdout);
	if (keep)
		pause();
	return 0;
}
