// SPDX-License-Identifier: GPL-2.0
/*
 * The same bytes by several ways at once: some threads write, each its own region by its
 * own way, and others read all of it by every way, all the time, and compare.
 *
 * usage: endtoend SECONDS SEED WAY:PATH:OFFSET...
 *
 * It takes so many seconds, or as many more as it takes until all have done something.
 *
 * A WAY is one of "read", "direct" (O_DIRECT), "map", "sum" (KARRAY_IOC_CHECKSUM), in
 * capitals if it writes, too. OFFSET is where in PATH the memory begins that all share.
 *
 * A region has blocks of an odd size, and a block a generation, which counts up, and of
 * which, with the block's place, all of its bytes follow. Its writer notes three of them:
 * the one that it begins to write, the last that it wrote, and the last that it synced.
 * Who reads notes first what must be there at least, and after the read what may be there
 * at most. A block that isn't of one generation is right only if these differ.
 *
 * At least means what was written, for who reads and writes by system calls; what was
 * synced, where one of them uses a mapping.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/karray.h>

#define REGION	(512 * 1024)
#define BLOCKS	24		/* in a region: so few that readers meet the writer */
#define LARGEST	16384		/* block */
#define ENOUGH	100		/* blocks that each way reads, or writes */
#define ALIGN	4096		/* for O_DIRECT */

enum kind { READ, DIRECT, MAP, SUM };

static const char *const names[] = { "read", "direct", "map", "sum" };

struct way {
	const char *name;
	enum kind kind;
	bool writes;
	int fd;
	off_t offset;
	unsigned char *map;
	unsigned int region;		/* that it writes */
	uint64_t seed;
	atomic_ulong whole, torn, wrong, written;
};

static struct way ways[16];
static unsigned int nr_ways, nr_regions;
static struct way *writers[16];

static struct block {
	_Atomic uint64_t begun, written, synced;
} blocks[16][BLOCKS];

static atomic_bool stop;

static unsigned int rnd(uint64_t *seed, unsigned int below)
{
	*seed = *seed * 6364136223846793005 + 1442695040888963407;
	return (*seed >> 33) % below;
}

/* Odd, but for O_DIRECT's. */
static size_t size_of(unsigned int region)
{
	static const size_t sizes[] = { 12288 + 777, 5001, 9999, 16381, 3001 };

	if (writers[region]->kind == DIRECT)
		return 8192 + 1536;
	return sizes[region % 5];
}

static off_t place_of(unsigned int region, unsigned int block)
{
	return (off_t)region * REGION + block * size_of(region);
}

static void make(unsigned char *to, unsigned int region, unsigned int block, uint64_t generation)
{
	uint64_t x = generation * 0x9e3779b97f4a7c15 + (region * BLOCKS + block) * 0xbf58476d1ce4e5b9;
	size_t size = size_of(region), i;

	for (i = 0; i + 8 <= size; i += 8) {
		x = (x ^ x >> 29) * 0x9e3779b97f4a7c15;
		memcpy(to + i, &x, 8);
	}
	memset(to + i, x, size - i);
	/* The generation at both ends. */
	memcpy(to, &generation, 8);
	memcpy(to + size - 8, &generation, 8);
}

static uint32_t crc32c(const unsigned char *p, size_t len)
{
	uint32_t crc = ~0U;

	while (len--) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

static void sync_way(struct way *way)
{
	if (way->kind == MAP && msync(way->map, nr_regions * REGION, MS_SYNC))
		err(2, "%s: msync", way->name);
	if (fsync(way->fd))
		err(2, "%s: fsync", way->name);
}

static void put(struct way *way, unsigned int block, uint64_t generation, unsigned char *buf)
{
	struct block *b = &blocks[way->region][block];
	off_t place = place_of(way->region, block);
	size_t size = size_of(way->region);

	make(buf, way->region, block, generation);
	b->begun = generation;
	if (way->kind == MAP)
		memcpy(way->map + place, buf, size);
	else if (pwrite(way->fd, buf, size, way->offset + place) != (ssize_t)size)
		err(2, "%s: write", way->name);
	b->written = generation;
	way->written++;
}

static void *write_all_the_time(void *arg)
{
	unsigned char *buf = aligned_alloc(ALIGN, LARGEST + ALIGN);
	uint64_t generations[BLOCKS] = { 0 };
	struct way *way = arg;

	for (unsigned int i = 0; !stop; i++) {
		unsigned int block = rnd(&way->seed, BLOCKS);

		put(way, block, ++generations[block], buf);
		if (i % 8)
			continue;
		sync_way(way);
		for (block = 0; block < BLOCKS; block++)
			blocks[way->region][block].synced = generations[block];
	}
	sync_way(way);
	for (unsigned int block = 0; block < BLOCKS; block++)
		blocks[way->region][block].synced = generations[block];
	free(buf);
	return NULL;
}

static void get(struct way *way, off_t place, size_t size, unsigned char *buf)
{
	off_t first = place, end = place + size;

	if (way->kind == MAP) {
		memcpy(buf, way->map + place, size);
		return;
	}
	if (way->kind == DIRECT) {
		first = place / 512 * 512;
		end = (end + 511) / 512 * 512;
	}
	if (pread(way->fd, buf, end - first, way->offset + first) != end - first)
		err(2, "%s: read", way->name);
	memmove(buf, buf + (place - first), size);
}

static uint32_t get_sum(struct way *way, off_t place, size_t size)
{
	struct karray_checksum sum = { .offset = way->offset + place, .length = size };

	if (ioctl(way->fd, KARRAY_IOC_CHECKSUM, &sum))
		err(2, "%s: checksum", way->name);
	return sum.sum;
}

static void compare(struct way *way, unsigned int region, unsigned int block,
		    unsigned char *got, unsigned char *want)
{
	bool mapped = way->kind == MAP || writers[region]->kind == MAP;
	struct block *b = &blocks[region][block];
	uint64_t least = mapped ? b->synced : b->written, most, generation;
	off_t place = place_of(region, block);
	size_t size = size_of(region);
	uint32_t sum = 0;
	bool same;

	if (way->kind == SUM)
		sum = get_sum(way, place, size);
	else
		get(way, place, size, got);
	most = b->begun;

	/* A sum tells nothing of its generation. */
	memcpy(&generation, got, 8);
	if (way->kind == SUM || generation < least || generation > most)
		generation = least;
	make(want, region, block, generation);
	same = way->kind == SUM ? sum == crc32c(want, size) : !memcmp(got, want, size);
	if (same) {
		way->whole++;
	} else if (least != most) {
		way->torn++;
	} else if (!way->wrong++) {
		size_t at = 0;

		while (way->kind != SUM && got[at] == want[at])
			at++;
		printf("# %s: block %u that %s writes is not generation %llu, at byte %zu of %zu\n",
		       way->name, block, writers[region]->name, (unsigned long long)most, at, size);
	}
}

static void *read_all_the_time(void *arg)
{
	unsigned char *got = aligned_alloc(ALIGN, LARGEST + ALIGN);
	unsigned char *want = malloc(LARGEST);
	struct way *way = arg;

	while (!stop)
		compare(way, rnd(&way->seed, nr_regions), rnd(&way->seed, BLOCKS), got, want);
	free(got);
	free(want);
	return NULL;
}

static void read_all(struct way *way)
{
	unsigned char *got = aligned_alloc(ALIGN, LARGEST + ALIGN);
	unsigned char *want = malloc(LARGEST);

	for (unsigned int region = 0; region < nr_regions; region++)
		for (unsigned int block = 0; block < BLOCKS; block++)
			compare(way, region, block, got, want);
	free(got);
	free(want);
}

static void add_way(char *spec, uint64_t seed)
{
	struct way *way = &ways[nr_ways++];
	char *path = strchr(spec, ':'), *offset = strrchr(spec, ':');

	way->name = strdup(spec);
	if (!path || path == offset)
		errx(2, "%s: not WAY:PATH:OFFSET", spec);
	*path++ = *offset++ = 0;
	way->offset = strtoull(offset, NULL, 0);
	way->seed = seed * 31 + nr_ways;
	while (way->kind < SUM && strcasecmp(spec, names[way->kind]))
		way->kind++;
	way->writes = spec[0] < 'a';
	way->fd = open(path, (way->writes ? O_RDWR : O_RDONLY) | (way->kind == DIRECT ? O_DIRECT : 0));
	if (way->fd < 0)
		err(2, "%s", way->name);
	if (way->writes) {
		way->region = nr_regions;
		writers[nr_regions++] = way;
	}
}

static void map_way(struct way *way)
{
	if (way->kind != MAP)
		return;
	way->map = mmap(NULL, nr_regions * REGION, PROT_READ | (way->writes ? PROT_WRITE : 0),
			MAP_SHARED, way->fd, way->offset);
	if (way->map == MAP_FAILED)
		err(2, "%s: mmap", way->name);
}

static bool all_did_enough(void)
{
	for (struct way *way = ways; way < ways + nr_ways; way++)
		if (way->whole + way->torn + way->wrong < ENOUGH ||
		    (way->writes && way->written < BLOCKS + ENOUGH))
			return false;
	return true;
}

int main(int argc, char **argv)
{
	unsigned char *buf = aligned_alloc(ALIGN, LARGEST + ALIGN);
	pthread_t threads[32];
	unsigned int n = 0, bad = 0;

	if (argc < 4 || argc - 3 > 16)
		return 2;
	for (int i = 3; i < argc; i++)
		add_way(argv[i], strtoull(argv[2], NULL, 0));
	for (struct way *way = ways; way < ways + nr_ways; way++)
		map_way(way);

	/* Generation 0 by everybody, so that all is there from the beginning. */
	for (unsigned int i = 0; i < nr_regions; i++) {
		for (unsigned int block = 0; block < BLOCKS; block++)
			put(writers[i], block, 0, buf);
		sync_way(writers[i]);
	}
	for (struct way *way = ways; way < ways + nr_ways; way++)
		if (way->writes)
			pthread_create(&threads[n++], NULL, write_all_the_time, way);
	for (struct way *way = ways; way < ways + nr_ways; way++)
		pthread_create(&threads[n++], NULL, read_all_the_time, way);
	sleep(atoi(argv[1]));
	while (!all_did_enough())
		usleep(100000);
	stop = true;
	while (n)
		pthread_join(threads[--n], NULL);

	for (struct way *way = ways; way < ways + nr_ways; way++) {
		read_all(way);
		printf("%s %lu %lu %lu %lu\n", way->name, way->written, way->whole, way->torn, way->wrong);
		bad += !!way->wrong;
	}
	free(buf);
	return bad != 0;
}
