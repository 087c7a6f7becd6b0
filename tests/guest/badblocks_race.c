// SPDX-License-Identifier: GPL-2.0
/*
 * One thread puts sector 10 on the list of bad ones and takes it off, by writing it; so the
 * entries behind it move. The other asks over and over whether it's there, and for sectors 20
 * to 27, which are bad all the time.
 *
 * usage: badblocks_race CHAR-DEVICE LIST TIMES
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/karray.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define SECTOR	512

static int fd, list;
static atomic_bool stop;

static void *mover(void *arg)
{
	static const char line[] = "10 1";
	static const char zeros[SECTOR];

	while (!stop)
		if (pwrite(list, line, strlen(line), 0) < 0 ||
		    pwrite(fd, zeros, SECTOR, 10 * SECTOR) != SECTOR)
			err(1, "sector 10");
	return arg;
}

/* Are the first bad sectors among these @first to @last? Or, @maybe, none. */
static bool meets(unsigned int from, unsigned int to, unsigned int first, unsigned int last, bool maybe)
{
	struct karray_bad_range range;
	struct karray_bad bad = {
		.offset = from * SECTOR,
		.length = (to - from + 1) * SECTOR,
		.ranges = (uintptr_t)&range,
		.count = 1,
	};

	if (ioctl(fd, KARRAY_IOC_BAD, &bad))
		err(1, "KARRAY_IOC_BAD");
	if (!bad.count)
		return maybe;
	return range.offset == first * SECTOR && range.length == (last - first + 1) * SECTOR;
}

int main(int argc, char **argv)
{
	long times, right = 0, i;
	pthread_t thread;

	if (argc != 4)
		errx(2, "usage: badblocks_race CHAR-DEVICE LIST TIMES");
	fd = open(argv[1], O_RDWR);
	list = open(argv[2], O_WRONLY);
	times = atol(argv[3]);
	if (fd < 0 || list < 0)
		err(1, "%s, %s", argv[1], argv[2]);

	errno = pthread_create(&thread, NULL, mover, NULL);
	if (errno)
		err(1, "pthread_create");
	for (i = 0; i < times; i++)
		right += meets(8, 14, 10, 10, true) && meets(16, 30, 20, 27, false);
	stop = true;
	pthread_join(thread, NULL);
	printf("right %ld times\n", right);
	return 0;
}
