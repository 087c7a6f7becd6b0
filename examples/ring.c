// SPDX-License-Identifier: GPL-2.0
/*
 * A ring in karray's memory, shared by two processes that map it: one puts messages
 * in, the other takes them out. As the memory outlives both, the reader may come a
 * day later, and goes on where it was.
 *
 *	make headers_install INSTALL_HDR_PATH=/tmp/karray
 *	gcc -O2 -I/tmp/karray/include -o ring examples/ring.c
 *	./ring /dev/karray clear
 *	seq 100000 | ./ring /dev/karray put &
 *	./ring /dev/karray take 100000
 *
 * What to note when mapping memory that may be unplugged, or be bad:
 *
 *  - Both open the node for writing (the reader moves its index), which a mounted
 *    disk forbids.
 *  - Memory that goes, or can't be read, is SIGBUS.
 *  - One puts, and one takes: for more they would need a lock among them.
 *  - Without the setting dax there are no shared futexes in such memory (no mutex or
 *    condition that waits): who has nothing to do looks again after a while.
 *  - Between the processes, C's atomics do. What the disk's page cache holds of these
 *    bytes they don't see: see "msync" in linux/karray.h.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/karray.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define RING_MAGIC	0x676e6972	/* "ring" */
#define RING_BYTES	(4UL << 20)	/* of the memory, from its start */
#define RING_SLOTS	32768		/* a power of two, so that indices may wrap */
#define RING_MESSAGE	60

struct slot {
	uint32_t len;
	char message[RING_MESSAGE];
};

/* Each index is written by one process, and has a cache line of its own. */
struct ring {
	_Alignas(64) uint32_t magic;
	_Alignas(64) _Atomic uint64_t put;	/* messages ever put in */
	_Alignas(64) _Atomic uint64_t taken;	/* and taken out */
	_Alignas(64) struct slot slots[];
};

_Static_assert(sizeof(struct ring) + RING_SLOTS * sizeof(struct slot) <= RING_BYTES,
	       "the ring must fit");

static void die(const char *what)
{
	fprintf(stderr, "ring: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void on_bus_error(int signal)
{
	static const char text[] = "ring: the memory has gone, or is bad\n";

	(void)signal;
	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(2);
	_exit(1);
}

static void put(struct ring *ring)
{
	uint64_t next = atomic_load_explicit(&ring->put, memory_order_relaxed);
	char line[RING_MESSAGE];

	while (fgets(line, sizeof(line), stdin)) {
		struct slot *slot = &ring->slots[next % RING_SLOTS];

		while (next - atomic_load_explicit(&ring->taken, memory_order_acquire) ==
		       RING_SLOTS)
			usleep(100);
		slot->len = strlen(line);
		memcpy(slot->message, line, slot->len);
		atomic_store_explicit(&ring->put, ++next, memory_order_release);
	}
}

static void take(struct ring *ring, uint64_t count)
{
	uint64_t next = atomic_load_explicit(&ring->taken, memory_order_relaxed);

	for (; count; count--) {
		struct slot *slot = &ring->slots[next % RING_SLOTS];
		uint32_t len;

		while (atomic_load_explicit(&ring->put, memory_order_acquire) == next)
			usleep(100);
		len = slot->len;
		if (len > RING_MESSAGE) {
			fprintf(stderr, "ring: there is something else in it\n");
			exit(1);
		}
		/* Only what has got out is taken. */
		if (fwrite(slot->message, 1, len, stdout) != len || fflush(stdout))
			die("output");
		atomic_store_explicit(&ring->taken, ++next, memory_order_release);
	}
}

int main(int argc, char **argv)
{
	struct karray_info info;
	struct ring *ring;
	int fd;

	if (argc < 3 ||
	    (strcmp(argv[2], "clear") && strcmp(argv[2], "put") &&
	     (strcmp(argv[2], "take") || argc < 4))) {
		fprintf(stderr, "usage: ring NODE clear | put | take COUNT\n");
		return 2;
	}
	fd = open(argv[1], O_RDWR);
	if (fd < 0)
		die(argv[1]);
	if (ioctl(fd, KARRAY_IOC_INFO, &info))
		die("no karray device");
	if (info.size < RING_BYTES) {
		fprintf(stderr, "ring: %s is too small\n", argv[1]);
		return 1;
	}
	if (!strcmp(argv[2], "clear")) {
		struct karray_fill zero = { .length = RING_BYTES };

		if (ioctl(fd, KARRAY_IOC_FILL, &zero))
			die("clear");
	}

	signal(SIGBUS, on_bus_error);
	ring = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (ring == MAP_FAILED)
		die("mmap");
	close(fd);		/* the mapping keeps the device */

	if (!strcmp(argv[2], "clear")) {
		ring->magic = RING_MAGIC;
	} else if (ring->magic != RING_MAGIC) {
		fprintf(stderr, "ring: %s has no ring, make one by \"clear\"\n", argv[1]);
		return 1;
	} else if (!strcmp(argv[2], "put")) {
		put(ring);
	} else {
		take(ring, strtoull(argv[3], NULL, 0));
	}
	return 0;
}
