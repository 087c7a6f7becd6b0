// SPDX-License-Identifier: GPL-2.0
/*
 * Writes numbered records to files, syncs each, and says so; or checks that those which
 * were synced are there after a crash.
 *
 * usage: records write ACKS {DIRECTORY FIRST}...
 *        records check DIRECTORY LAST
 *
 * "write" goes on until it is killed, with a process for each directory. A record is in
 * ACKS ("DIRECTORY NUMBER", a line) before the next one begins, so that after a crash
 * all is known of each: those up to the last line are there, the next may be in part.
 * "check" prints with which record to go on ("next NUMBER"), and what is wrong.
 *
 * Records take turns at four kinds of places. Each kind has PLACES of them, used in
 * turn; the log's are two files that are emptied before they are filled again.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

enum kind { APPENDED, OVERWRITTEN, MAPPED, RENAMED, KINDS };

#define PLACES	64
#define LOG	(PLACES / 2)	/* records in each file */
#define SIZE	4096		/* of a record */
#define WORDS	(SIZE / sizeof(uint64_t))

static uint64_t record[WORDS] __attribute__((aligned(SIZE)));

static enum kind kind_of(uint64_t nr)
{
	return nr % KINDS;
}

static unsigned int place_of(uint64_t nr)
{
	return nr / KINDS % PLACES;
}

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 31) * 0x9e3779b97f4a7c15;
	return x ^ x >> 29;
}

/* All of a record follows from its number, so that the number checks the rest. */
static void make_record(uint64_t nr, const char *directory)
{
	uint64_t key = nr;

	while (*directory)
		key = mix(key + *directory++);
	record[0] = nr;
	for (size_t i = 1; i < WORDS; i++)
		record[i] = mix(key + i);
}

static const char *file_of(uint64_t nr)
{
	static char name[16];

	switch (kind_of(nr)) {
	case APPENDED:
		return place_of(nr) < LOG ? "log0" : "log1";
	case OVERWRITTEN:
		return "overwritten";
	case MAPPED:
		return "mapped";
	default:
		sprintf(name, "file%u", place_of(nr));
		return name;
	}
}

static off_t offset_of(uint64_t nr)
{
	unsigned int place = place_of(nr);

	return kind_of(nr) == RENAMED ? 0 : SIZE * (off_t)
	       (kind_of(nr) == APPENDED ? place % LOG : place);
}

static int open_file(const char *name, int flags)
{
	int fd = open(name, flags, 0600);

	if (fd < 0)
		err(2, "%s", name);
	return fd;
}

static void put(int fd, off_t offset)
{
	if (pwrite(fd, record, SIZE, offset) != SIZE || fdatasync(fd))
		err(2, "write");
	close(fd);
}

static void sync_directory(void)
{
	int fd = open_file(".", O_RDONLY | O_DIRECTORY);

	if (fsync(fd))
		err(2, "fsync of the directory");
	close(fd);
}

static void put_mapped(off_t offset)
{
	int fd = open_file("mapped", O_RDWR | O_CREAT);
	char *map;

	if (ftruncate(fd, PLACES * SIZE))
		err(2, "ftruncate");
	map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
	if (map == MAP_FAILED)
		err(2, "mmap");
	memcpy(map, record, SIZE);
	if (msync(map, SIZE, MS_SYNC))
		err(2, "msync");
	munmap(map, SIZE);
	close(fd);
}

static void put_record(uint64_t nr)
{
	off_t offset = offset_of(nr);

	switch (kind_of(nr)) {
	case APPENDED:
		put(open_file(file_of(nr), O_WRONLY | O_CREAT | (offset ? 0 : O_TRUNC)), offset);
		break;
	case OVERWRITTEN:
		put(open_file(file_of(nr), O_WRONLY | O_CREAT | O_DIRECT), offset);
		break;
	case MAPPED:
		put_mapped(offset);
		break;
	default:
		put(open_file("new", O_WRONLY | O_CREAT | O_TRUNC), 0);
		if (rename("new", file_of(nr)))
			err(2, "rename");
	}
	if (nr < KINDS * PLACES || kind_of(nr) == RENAMED)
		sync_directory();
}

/* What nobody waits for: the file system has more to do than to sync. */
static void make_noise(void)
{
	char name[16], other[16];

	for (unsigned int i = 0; ; i++) {
		int fd;

		sprintf(name, "noise%u", i % 7);
		sprintf(other, "noise%u", i % 5);
		fd = open(name, O_WRONLY | O_CREAT, 0600);
		if (fd < 0 || pwrite(fd, record, SIZE, i * 7919 % 64 * 3000) < 0)
			err(2, "noise");
		close(fd);
		if (i % 3)
			rename(name, other);
		else
			unlink(other);
		usleep(3000);
	}
}

/* A process of its own, that ends with its parent. */
static bool in_child(const char *directory)
{
	if (fork())
		return false;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (chdir(directory))
		err(2, "%s", directory);
	return true;
}

static void write_records(const char *directory, uint64_t nr, int acks)
{
	for (;; nr++) {
		char line[64];
		int len = sprintf(line, "%s %llu\n", directory, (unsigned long long)nr);

		make_record(nr, directory);
		put_record(nr);
		if (write(acks, line, len) != len)
			err(2, "acks");
	}
}

/* The number of the record at @nr's place; 0 if there is none, -1 if it's not whole. */
static int64_t number_at(uint64_t nr, const char *directory)
{
	static uint64_t got[WORDS];
	int fd = open(file_of(nr), O_RDONLY);
	ssize_t len = 0;

	memset(got, 0, SIZE);
	if (fd >= 0) {
		len = pread(fd, got, SIZE, offset_of(nr));
		close(fd);
	}
	if (len < 0)
		return -1;
	memset(record, 0, SIZE);
	if (!memcmp(got, record, SIZE))
		return 0;
	make_record(got[0], directory);
	return memcmp(got, record, SIZE) ? -1 : (int64_t)got[0];
}

static int check(const char *directory, uint64_t last)
{
	uint64_t count = KINDS * PLACES, next = last, nr;
	int wrong = 0;

	if (chdir(directory))
		err(2, "%s", directory);
	/* Those behind the last may be there as well. */
	for (nr = 0; nr < count; nr++) {
		int64_t got = number_at(nr, directory);

		if (got > 0 && (uint64_t)got > next)
			next = got;
	}
	next++;

	for (nr = next > count ? next - count : 1; nr < next; nr++) {
		int64_t got = number_at(nr, directory);
		/* Since the log's second half was emptied, it is in another place. */
		bool kept = kind_of(nr) != APPENDED || next - nr < count / 2;
		/* Being written, and not whole; what is renamed always is. */
		bool busy = nr % count == next % count && kind_of(nr) != RENAMED;

		if (busy || got == (int64_t)nr || (!kept && !got))
			continue;
		printf("record %llu: at its place in %s is %lld\n", (unsigned long long)nr,
		       file_of(nr), (long long)got);
		wrong = 1;
	}
	printf("next %llu\n", (unsigned long long)next);
	return wrong;
}

int main(int argc, char **argv)
{
	int acks;

	if (argc == 4 && !strcmp(argv[1], "check"))
		return check(argv[2], strtoull(argv[3], NULL, 0));
	if (argc < 5 || strcmp(argv[1], "write"))
		return 2;
	acks = open_file(argv[2], O_WRONLY);
	for (int i = 3; i + 1 < argc; i += 2) {
		if (in_child(argv[i]))
			write_records(argv[i], strtoull(argv[i + 1], NULL, 0), acks);
		if (in_child(argv[i]))
			make_noise();
	}
	pause();
	return 0;
}
