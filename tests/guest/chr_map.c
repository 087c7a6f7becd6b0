// SPDX-License-Identifier: GPL-2.0
/*
 * Mappings of the char node: which there are, what they show, what may be done to
 * them; and what a hostile program tries.
 *
 * usage: chr_map NODE SIZE
 *        chr_map NODE SIZE dax		the same with struct pages
 *        chr_map NODE SIZE until-gone	map, say so, and touch until SIGBUS
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/mempolicy.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "touch.h"
#include "unit.h"

#define MIB	(1UL << 20)

static int fd, ro;
static bool dax;
static size_t size;
static const char *node;

static char *map(int file, size_t len, int prot, int flags, off_t at)
{
	return mmap(NULL, len, prot, flags, file, at);
}

static bool no_map(int file, size_t len, int prot, int flags, off_t at, int error)
{
	return map(file, len, prot, flags, at) == MAP_FAILED && errno == error;
}

TEST(test_kinds)
{
	const int rw = PROT_READ | PROT_WRITE;
	char *p;

	ok(no_map(fd, 4096, rw, MAP_PRIVATE, 0, EINVAL), "private and writable: EINVAL");
	ok(no_map(ro, 4096, rw, MAP_PRIVATE, 0, EINVAL), "likewise with a read-only file");
	ok(no_map(ro, 4096, rw, MAP_SHARED, 0, EACCES), "writable of a read-only file: EACCES");
	ok(no_map(fd, 4096, rw, MAP_SHARED, size, EINVAL), "at the end: EINVAL");
	ok(no_map(fd, 8192, rw, MAP_SHARED, size - 4096, EINVAL), "across the end: EINVAL");
	ok(no_map(fd, size + 4096, rw, MAP_SHARED, 0, EINVAL), "longer than the memory: EINVAL");
	ok(no_map(fd, 4096, rw, MAP_SHARED, 1L << 62, EINVAL), "far beyond: EINVAL");
	ok(map(fd, 8192, rw, MAP_SHARED, -4096L) == MAP_FAILED, "around the end of all offsets");
	ok(no_map(fd, 4096, rw, MAP_SHARED, 512, EINVAL), "at half a page: EINVAL");

	p = map(fd, 4096, PROT_READ, MAP_PRIVATE, 0);
	ok(p != MAP_FAILED && !touch(p, false), "private, for reading");
	ok(mprotect(p, 4096, rw) == -1 && errno == EACCES, "which never becomes writable");
	munmap(p, 4096);
	p = map(ro, 4096, PROT_READ, MAP_SHARED, 0);
	ok(p != MAP_FAILED && !touch(p, false), "shared, of a read-only file");
	ok(mprotect(p, 4096, rw) == -1 && errno == EACCES, "which never becomes writable");
	ok(touch(p, true) == SIGSEGV, "and a store is SIGSEGV");
	munmap(p, 4096);
	p = map(fd, 4096, rw, MAP_SHARED, size - 4096);
	ok(p != MAP_FAILED && !touch(p + 4095, true), "the last page");
	munmap(p, 4096);
	p = map(fd, size, rw, MAP_SHARED, 0);
	ok(p != MAP_FAILED && !touch(p, true) && !touch(p + size - 1, true), "all of it");
	munmap(p, size);
}

TEST(test_contents)
{
	size_t len = 16 * MIB, bad;
	long stores = 0;
	struct rusage before, after;
	uint32_t *word, *other, *back = malloc(len);

	word = (void *)map(fd, len, PROT_READ | PROT_WRITE, MAP_SHARED, 64 * MIB);
	getrusage(RUSAGE_SELF, &before);
	for (size_t i = 0; i < len / 4; i++)
		word[i] = i * 2654435761U;
	getrusage(RUSAGE_SELF, &after);
#ifdef __aarch64__
	/* CPUs may not note stores by themselves: the kernel does it then, at each page's first. */
	stores = len / 4096;
#endif
	ok(after.ru_minflt - before.ru_minflt <= stores + 9, "a fault for every 2 MiB, %ld for 16 MiB",
	   after.ru_minflt - before.ru_minflt);
	ok(pread(fd, back, len, 64 * MIB) == (ssize_t)len && !memcmp(back, word, len),
	   "pread sees what was stored");
	memset(back, 0x5a, len);
	ok(pwrite(fd, back, len, 64 * MIB) == (ssize_t)len && !memcmp(back, word, len),
	   "loads see what was written");
	ok(pwrite(fd, word, MIB, 96 * MIB) == MIB && pread(fd, word, MIB, 96 * MIB) == MIB,
	   "a mapping as the buffer of read and write");

	ok(!madvise(word, len, MADV_DONTNEED) && !memcmp(back, word, len),
	   "MADV_DONTNEED unmaps for a while");
	other = (void *)map(fd, len, PROT_READ | PROT_WRITE, MAP_SHARED, 64 * MIB);
	ok(!madvise(other, len, MADV_RANDOM), "MADV_RANDOM");
	getrusage(RUSAGE_SELF, &before);
	bad = memcmp(other, word, len);
	getrusage(RUSAGE_SELF, &after);
	ok(!bad && after.ru_minflt - before.ru_minflt >= 4096, "maps a page at a time");
	munmap(other, len);
	ok(!msync(word, len, MS_SYNC) && !msync(word, len, MS_ASYNC), "msync");
	munmap(word, len);
	free(back);
}

TEST(test_changes)
{
	size_t len = 8 * MIB;
	char *p = map(fd, len, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
	char *q, *hole;
	int status;

	memset(p, 1, len);
	/* Holes, by halves of huge pages. */
	ok(!munmap(p + 3 * MIB, 4096) && touch(p + 3 * MIB, false) == SIGSEGV &&
	   !touch(p + 3 * MIB - 1, true) && !touch(p + 3 * MIB + 4096, true), "a hole");
	ok(!mprotect(p, MIB, PROT_READ) && touch(p, true) == SIGSEGV &&
	   !touch(p + MIB, true), "a part for reading");
	ok(!mprotect(p, MIB, PROT_NONE) && touch(p, false) == SIGSEGV, "a part for nothing");
	ok(!mprotect(p, MIB, PROT_READ | PROT_WRITE) && !touch(p, true), "and back");
	q = mremap(p + 4 * MIB, 4 * MIB, 5 * MIB, MREMAP_MAYMOVE);
	ok(q == MAP_FAILED && errno == EFAULT, "mremap doesn't make it longer");
	hole = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	q = mremap(p + 4 * MIB, 4 * MIB, 4 * MIB, MREMAP_MAYMOVE | MREMAP_FIXED,
		   hole + 4096);
	ok(q == hole + 4096 && *q == 1 && !touch(q + 4 * MIB - 1, true) &&
	   touch(p + 4 * MIB, false) == SIGSEGV, "moves it, to an odd address");
	ok(mremap(q, 4 * MIB, MIB, 0) == q && touch(q + MIB, false) == SIGSEGV, "shortens it");
	ok(mremap(q, 0, MIB, MREMAP_MAYMOVE) == MAP_FAILED, "doesn't double it");

	*p = 42;
	if (!fork()) {
		bool good = *p == 42;

		*p = 43;
		_exit(!good);
	}
	ok(wait(&status) > 0 && !status && *p == 43, "fork shares it");
	ok(!madvise(p, MIB, MADV_DONTFORK), "MADV_DONTFORK");
	if (!fork())
		_exit(touch(p, false) != SIGSEGV);
	ok(wait(&status) > 0 && !status, "doesn't");
	munmap(p, len);
	munmap(hole, len);
}

/* Flags of a mapping, as smaps has them: " rd wr sh ...". */
static bool has_flag(const char *start, const char *flag)
{
	FILE *smaps = fopen("/proc/self/smaps", "r");
	char line[512], address[32];
	bool there = false, found = false;

	snprintf(address, sizeof(address), "%lx-", (long)start);
	while (smaps && fgets(line, sizeof(line), smaps)) {
		if (!strncmp(line, address, strlen(address)))
			there = true;
		if (there && !strncmp(line, "VmFlags:", 8)) {
			found = strstr(line, flag);
			break;
		}
	}
	if (smaps)
		fclose(smaps);
	return found;
}

/* A debugger reads what the program itself may not touch: that makes page table entries. */
TEST(test_no_access)
{
	const size_t len = 16 * 4096, at = 5 * MIB + len;
	int mem = open("/proc/self/mem", O_RDONLY);
	char page[4096], c, *p;
	size_t i;

	for (i = 0; i < len; i += sizeof(page)) {
		memset(page, 'a' + i / sizeof(page), sizeof(page));
		if (pwrite(fd, page, sizeof(page), at + i) != sizeof(page))
			fail();
	}
	p = map(fd, len, PROT_NONE, MAP_SHARED, at);
	ok(p != MAP_FAILED && touch(p, false) == SIGSEGV, "without access: SIGSEGV");
	ok(pread(mem, &c, 1, (long)p) == (dax ? 1 : -1), "a debugger gets there with struct pages only");
	ok(!mprotect(p, len, PROT_READ | PROT_WRITE), "with access now");
	for (i = 0; i < len && p[i] == (char)('a' + i / 4096); i += 4096)
		;
	ok(i == len, "and each page is the right one");
	ok(!has_flag(p, " pf"), "there are no frames for VFIO to keep");
	ok(dax || (has_flag(p, " io") && has_flag(p, " mm")), "nor pages to pin");
	munmap(p, len);
	close(mem);
}

TEST(test_bad_memory)
{
	char *p = map(fd, 4 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED, 0), *all;
	FILE *file = fopen("/sys/block/karrayb0/badblocks", "w");
	char buf[512] = "";

	ok(file, "the list of bad sectors can be written");
	fprintf(file, "%lu 1\n", 4096UL * 3 / 512 + 1);
	fclose(file);
	ok(touch(p + 4096 * 3, false) == SIGBUS && bus_code == BUS_MCEERR_AR,
	   "a page with a bad sector: SIGBUS, as for a memory error");
	ok(!touch(p + 4096 * 2, true) && !touch(p + 4096 * 4, true) && !touch(p + 3 * MIB, true),
	   "not so those around it");
	/* The mm layer goes on for as long as a fault has a try left: this one must say no. */
	alarm(60);
	ok(mlock(p, 4 * MIB) || !munlock(p, 4 * MIB), "to lock the mapping comes to an end there");
	all = map(fd, 4 * MIB, PROT_READ, MAP_SHARED | MAP_POPULATE, 0);
	ok(all != MAP_FAILED && touch(all + 4096 * 3, false) == SIGBUS, "so does to prefault one");
	munmap(all, 4 * MIB);
	alarm(0);
	ok(pwrite(fd, buf, 512, 4096 * 3 + 512) == 512 && !touch(p + 4096 * 3, true),
	   "when it is written it's good");
	munmap(p, 4 * MIB);
}

/* Nothing here need succeed. */
TEST(test_hostile)
{
	size_t len = 8 * MIB;
	char *p = map(fd, len, PROT_READ | PROT_WRITE, MAP_SHARED, 2 * MIB);
	void *pages[] = { p, p + MIB };
	unsigned long nodes = 1;
	int status[2], file;
	char buf[4096];

	memset(p, 7, len);
	for (int how = 0; how <= 102; how++)
		if (how != MADV_DONTFORK && how != MADV_HWPOISON)
			madvise(p, len, how);
	ok(*p == 7 && p[len - 1] == 7, "every madvise");
	for (int flags = 0; flags < 8; flags++)
		for (int policy = 0; policy < 6; policy++)
			syscall(SYS_mbind, p, len, policy, &nodes, 2, flags);
	ok(!touch(p, true), "every mbind");
	syscall(SYS_move_pages, 0, 2, pages, NULL, status, 0);
	ok(status[0] < 0, "move_pages doesn't find pages");
	syscall(SYS_migrate_pages, 0, 2, &nodes, &nodes);
	mlock(p, len);
	munlock(p, len);
	mlockall(MCL_CURRENT);
	munlockall();
	mincore(p, MIB, (void *)buf);
	syscall(SYS_remap_file_pages, p, MIB, 0, 1, 0);
	if (dax)
		ok(!syscall(SYS_futex, p, FUTEX_WAKE, 1, NULL, NULL, 0), "a shared futex");
	else
		ok(syscall(SYS_futex, p, FUTEX_WAKE, 1, NULL, NULL, 0) == -1 && errno == EFAULT,
		   "a shared futex: EFAULT");
	for (const char *const *name = (const char *const []){ "smaps", "numa_maps", "maps",
	     "clear_refs", NULL }; *name; name++) {
		snprintf(buf, sizeof(buf), "/proc/self/%s", *name);
		file = open(buf, O_RDWR);
		if (file < 0)
			file = open(buf, O_RDONLY);
		for (int i = '1'; i < '6'; i++)
			if (write(file, &i, 1) < 0)
				break;
		while (read(file, buf, sizeof(buf)) > 0)
			;
		close(file);
	}
	file = open("/proc/self/pagemap", O_RDONLY);
	ok(pread(file, buf, sizeof(buf), (uintptr_t)p / 4096 * 8) > 0, "/proc/self/...");
	close(file);
	ok(!touch(p, true) && !touch(p + len - 1, true), "still there");
	memset(p, 8, len);
	file = open(node, O_RDONLY | O_DIRECT);
	ok(pread(file, p, MIB, 32 * MIB) == MIB, "char to char through a mapping");
	close(file);
	munmap(p, len);
}

/* Tasks that fault in the same memory, and protect or move where they have it. */
TEST(test_race)
{
	size_t len = 4 * MIB;
	char *p = map(fd, len, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
	char *spare = mmap(NULL, 2 * len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int status, bad = 0;

	for (int t = 0; t < 4; t++) {
		if (fork())
			continue;
		for (int i = 0; i < 300; i++) {
			size_t at = (size_t)rand() % (len / 4096) * 4096;

			touch(p + at, i & 1);
			if (t & 1)
				p = mremap(p, len, len, MREMAP_MAYMOVE | MREMAP_FIXED,
					   i & 1 ? spare : spare + 4096);
			else
				mprotect(p, len, i % 3 ? PROT_READ | PROT_WRITE : PROT_READ);
		}
		_exit(0);
	}
	for (int t = 0; t < 4; t++)
		bad += wait(&status) < 0 || status;
	ok(!bad, "four processes at it");
	munmap(p, len);
}

/* A process that splices into a pipe that is full soon, until that is ENODEV. */
static pid_t start_splice(int *from)
{
	int ends[2];
	pid_t child;

	if (pipe(ends))
		abort();
	child = fork();
	if (!child) {
		off_t at = 0;

		close(ends[0]);
		while (splice(fd, &at, ends[1], NULL, MIB, 0) > 0)
			;
		_exit(errno != ENODEV);
	}
	close(ends[1]);
	*from = ends[0];
	return child;
}

TEST(test_until_gone)
{
	int from, status;
	pid_t child = start_splice(&from);
	char *p = map(fd, 8 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
	char *q = map(ro, 4096, PROT_READ, MAP_PRIVATE, 0);
	char c, buf[4096];
	int got;

	memset(p, 1, 8 * MIB);
	(void)*(volatile char *)q;
	printf("# mapped\n");
	fflush(stdout);
	do {
		got = touch(p, true);
		usleep(1000);
	} while (!got);
	ok(got == SIGBUS, "the mapping is SIGBUS");
	/* One page after the other is taken away, and one mapping, before the removal is done. */
	while (!touch(p + 5 * MIB, false) || !touch(q, false))
		usleep(1000);
	while (read(from, buf, sizeof(buf)) > 0)
		;
	ok(waitpid(child, &status, 0) == child && !status, "a splice that waited: ENODEV");
	ok(pread(fd, &c, 1, 0) == -1 && errno == ENODEV, "read: ENODEV");
	ok(pwrite(fd, &c, 1, 0) == -1 && errno == ENODEV, "write: ENODEV");
	ok(fsync(fd) == -1 && errno == ENODEV, "fsync: ENODEV");
	ok(msync(p - (uintptr_t)p % 4096, MIB, MS_SYNC) == -1 && errno == ENODEV, "msync: ENODEV");
	ok(no_map(fd, 4096, PROT_READ, MAP_SHARED, 0, ENODEV), "mmap: ENODEV");
	sleep(3);
	ok(touch(p, true) == SIGBUS && touch(p + 5 * MIB, false) == SIGBUS && touch(q, false) == SIGBUS,
	   "all of it is, also when there is a new device");
}

static const struct CMUnitTest tests[] = {
	{ .name = "kinds of mappings", .test_func = test_kinds },
	{ .name = "loads and stores", .test_func = test_contents },
	{ .name = "munmap, mprotect, mremap, fork", .test_func = test_changes },
	{ .name = "no access, but for a debugger", .test_func = test_no_access },
	{ .name = "bad memory", .test_func = test_bad_memory },
	{ .name = "every madvise and mbind, and what reads page tables",
	  .test_func = test_hostile },
	{ .name = "faults, mprotect and mremap at once", .test_func = test_race },
};

static const struct CMUnitTest until_gone[] = {
	{ .name = "mapped memory that goes away", .test_func = test_until_gone },
};

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	node = argv[1];
	size = atoll(argv[2]);
	fd = open(node, O_RDWR);
	ro = open(node, O_RDONLY);
	if (fd < 0 || ro < 0) {
		perror("chr_map: open");
		return 2;
	}
	dax = argc > 3 && !strcmp(argv[3], "dax");
	return argc > 3 && !dax ? run(until_gone) : run(tests);
}
