// SPDX-License-Identifier: GPL-2.0
/*
 * Mappings that have struct pages: of the char node, or of a file on a file system
 * mounted with dax.
 *
 * usage: dax_map TARGET OTHER		TARGET is the node or a file; OTHER a disk, for
 *					direct I/O
 *        dax_map TARGET until-gone	map, say so, and touch until SIGBUS
 *        dax_map TARGET pipe|ring	pin pages, by a pipe or io_uring, and keep neither
 *					mapping nor file; say so, and wait
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "touch.h"
#include "unit.h"

#define MIB	(1UL << 20)
#define LEN	(16 * MIB)

static int fd, disk;
static bool chr;
static char *p;		/* the target's first bytes */

static void fill(void *at, size_t len, unsigned int key)
{
	for (size_t i = 0; i < len / 4; i++)
		((uint32_t *)at)[i] = i * 2654435761U + key;
}

static char *map(int prot, int flags)
{
	return mmap(NULL, LEN, prot, flags, fd, 0);
}

static int begin(void **state)
{
	(void)state;
	p = map(PROT_READ | PROT_WRITE, MAP_SHARED);
	return p == MAP_FAILED;
}

static int end(void **state)
{
	(void)state;
	return munmap(p, LEN);
}

TEST(test_huge)
{
	struct rusage before, after;

	ok(!((uintptr_t)p % (2 * MIB)), "mmap chooses an address for huge pages");
	getrusage(RUSAGE_SELF, &before);
	for (size_t at = 0; at < LEN; at += 4096)
		*(volatile char *)(p + at) = at / 4096;
	getrusage(RUSAGE_SELF, &after);
	/* A file system may put some of a file where that can't be; the caller looks. */
	ok(!chr || after.ru_minflt - before.ru_minflt <= 9,
	   "a fault for every 2 MiB, %ld for 16 MiB",
	   after.ru_minflt - before.ru_minflt);
}

TEST(test_contents)
{
	char *back = malloc(LEN), *other;

	fill(p, LEN, 1);
	ok(pread(fd, back, LEN, 0) == (ssize_t)LEN && !memcmp(back, p, LEN),
	   "pread sees what was stored");
	fill(back, LEN, 2);
	ok(pwrite(fd, back, LEN, 0) == (ssize_t)LEN && !memcmp(back, p, LEN),
	   "loads see what was written");
	other = map(PROT_READ, MAP_PRIVATE);
	ok(other != MAP_FAILED && !memcmp(other, p, LEN), "a private mapping sees it");
	munmap(other, LEN);
	if (!chr) {
		other = map(PROT_READ | PROT_WRITE, MAP_PRIVATE);
		memset(other, 0, 4 * MIB);
		ok(!memcmp(back, p, LEN), "what is stored in a private one stays there");
		munmap(other, LEN);
		other = map(PROT_READ | PROT_WRITE, MAP_SHARED_VALIDATE | MAP_SYNC);
		ok(other != MAP_FAILED, "MAP_SYNC");
		memset(other, 3, LEN);
		ok(p[LEN - 1] == 3, "which is the same memory");
		munmap(other, LEN);
	}
	ok(!fsync(fd) && !msync(p, LEN, MS_SYNC), "fsync and msync");
	free(back);
}

/* By direct I/O with another disk the kernel reads and writes the pages themselves. */
TEST(test_direct_io)
{
	char *back = aligned_alloc(4096, 4 * MIB);

	fill(p, 4 * MIB, 3);
	ok(pwrite(disk, p, 4 * MIB, 0) == 4 * MIB, "direct write of mapped memory");
	memset(p + 8 * MIB, 0, 4 * MIB);
	ok(pread(disk, p + 8 * MIB, 4 * MIB, 0) == 4 * MIB, "direct read into mapped memory");
	ok(!memcmp(p, p + 8 * MIB, 4 * MIB), "which has the same bytes");
	ok(pread(disk, p + 8 * MIB + 512, 1024, 4096) == 1024 &&
	   !memcmp(p + 8 * MIB + 512, p + 4096, 1024), "in part of a page");
	ok(pread(fd, back, 4 * MIB, 8 * MIB) == 4 * MIB && !memcmp(back, p + 8 * MIB, 4 * MIB),
	   "and so has the target");
	free(back);
}

static int uring(struct io_uring_params *params)
{
	memset(params, 0, sizeof(*params));
	return syscall(SYS_io_uring_setup, 4, params);
}

static int register_buffer(int ring, void *at, size_t len)
{
	struct iovec iov = { at, len };

	return syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &iov, 1);
}

/* One request by a registered buffer; returns what came of it. */
static int uring_fixed(int ring, const struct io_uring_params *params, int op, void *at, size_t len)
{
	char *sq = mmap(NULL, params->sq_off.array + 4 * params->sq_entries, PROT_READ | PROT_WRITE,
			MAP_SHARED, ring, IORING_OFF_SQ_RING);
	char *cq = mmap(NULL, params->cq_off.cqes + 16 * params->cq_entries, PROT_READ | PROT_WRITE,
			MAP_SHARED, ring, IORING_OFF_CQ_RING);
	struct io_uring_sqe *sqe = mmap(NULL, 64 * params->sq_entries, PROT_READ | PROT_WRITE,
					MAP_SHARED, ring, IORING_OFF_SQES);
	struct io_uring_cqe *cqes = (void *)(cq + params->cq_off.cqes);
	unsigned int *tail = (void *)(sq + params->sq_off.tail);
	unsigned int mask = *(unsigned int *)(sq + params->sq_off.ring_mask);
	unsigned int *head = (void *)(cq + params->cq_off.head);
	unsigned int slot = *tail & mask;
	int res;

	memset(&sqe[slot], 0, sizeof(*sqe));
	sqe[slot].opcode = op;
	sqe[slot].fd = disk;
	sqe[slot].addr = (uintptr_t)at;
	sqe[slot].len = len;
	((unsigned int *)(sq + params->sq_off.array))[slot] = slot;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
		return -errno;
	res = cqes[*head & *(unsigned int *)(cq + params->cq_off.ring_mask)].res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	munmap(sqe, 64 * params->sq_entries);
	munmap(cq, params->cq_off.cqes + 16 * params->cq_entries);
	munmap(sq, params->sq_off.array + 4 * params->sq_entries);
	return res;
}

TEST(test_registered)
{
	struct io_uring_params params;
	int ring = uring(&params);

	ok(ring >= 0, "io_uring");
	if (!chr) {
		/* The kernel's rule: a file system must be able to move its blocks. */
		ok(register_buffer(ring, p, MIB) == -1 && errno == EOPNOTSUPP,
		   "a file's pages can't be registered");
		close(ring);
		return;
	}
	if (register_buffer(ring, p, 4 * MIB)) {
		/* Before v6.5 no file's pages could be registered. */
		ok(errno == EOPNOTSUPP, "a registered buffer");
		printf("# no registered buffers of files\n");
		close(ring);
		return;
	}
	fill(p, 2 * MIB, 5);
	ok(uring_fixed(ring, &params, IORING_OP_WRITE_FIXED, p, 2 * MIB) == 2 * MIB,
	   "written from");
	ok(uring_fixed(ring, &params, IORING_OP_READ_FIXED, p + 2 * MIB, 2 * MIB) == 2 * MIB,
	   "read into");
	ok(!memcmp(p, p + 2 * MIB, 2 * MIB), "has the same bytes");
	close(ring);
}

/* Processes that wait for each other in the memory. */
TEST(test_futex)
{
	volatile uint32_t *word = (void *)(p + 5 * 4096);
	int status;

	*word = 0;
	if (!fork()) {
		/* A mapping of its own. */
		char *other = map(PROT_READ | PROT_WRITE, MAP_SHARED);
		volatile uint32_t *mine = (void *)(other + 5 * 4096);

		while (*mine == 0)
			syscall(SYS_futex, mine, FUTEX_WAIT, 0, NULL, NULL, 0);
		*mine = 2;
		syscall(SYS_futex, mine, FUTEX_WAKE, 1, NULL, NULL, 0);
		_exit(0);
	}
	usleep(200000);
	*word = 1;
	ok(syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0) == 1, "one waiter is woken");
	while (*word == 1)
		syscall(SYS_futex, word, FUTEX_WAIT, 1, NULL, NULL, 0);
	ok(*word == 2 && wait(&status) > 0 && !status, "and answers");
}

TEST(test_other_processes)
{
	struct iovec local, remote = { p + MIB, MIB };
	char *back = malloc(MIB);
	int status;
	pid_t child;

	fill(p + MIB, MIB, 7);
	child = fork();
	if (!child) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(p[0] != 'x');
	}
	waitpid(child, &status, 0);
	local = (struct iovec){ back, MIB };
	/* The debug kernels do without. */
	ok((process_vm_readv(child, &local, 1, &remote, 1, 0) == MIB && !memcmp(back, p + MIB, MIB)) ||
	   errno == ENOSYS, "process_vm_readv");
	ok(ptrace(PTRACE_PEEKDATA, child, p + MIB, NULL) == *(long *)(p + MIB), "a debugger reads");
	ok(!ptrace(PTRACE_POKEDATA, child, p, (void *)0x7878L) && p[0] == 'x', "and writes");
	ptrace(PTRACE_CONT, child, NULL, NULL);
	ok(waitpid(child, &status, 0) == child && !status, "which the program sees");
	free(back);
}

/* Huge entries that are cut, moved, protected, doubled, and faults in between. */
TEST(test_changes)
{
	const size_t room = LEN + 2 * MIB;	/* of which there are two */
	char *hole = mmap(NULL, 2 * room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *q = map(PROT_READ | PROT_WRITE, MAP_SHARED), *back = malloc(LEN), *to;
	int status, moves = 0;

	ok(back, "memory to compare with");
	fill(q, LEN, 11);
	memcpy(back, q, LEN);
	for (int i = 0; i < 200; i++) {
		size_t at = (size_t)rand() % (LEN / 4096 - 512) * 4096;
		size_t len = ((size_t)rand() % 512 + 1) * 4096;

		switch (rand() % 6) {
		case 0:
			/* As a whole, or it would be several for mremap. */
			ok(!mprotect(q, LEN, PROT_READ) && touch(q + at, true) == SIGSEGV,
			   "protected");
			ok(!mprotect(q, LEN, PROT_READ | PROT_WRITE), "and not any more");
			break;
		case 1:
			ok(!madvise(q + at, len, MADV_DONTNEED), "unmapped for a while");
			break;
		case 2:
			to = hole + moves++ % 2 * room + (size_t)rand() % 512 * 4096 * (i & 1);
			q = mremap(q, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, to);
			ok(q != MAP_FAILED, "moved");
			break;
		case 3:
			if (!fork())
				_exit(memcmp(q + at, back + at, len) != 0);
			ok(wait(&status) > 0 && !status, "a child sees it");
			break;
		case 4:
			ok(!mlock(q + at, len) && !munlock(q + at, len), "mlock");
			break;
		default:
			fill(back + at, len, i);
			memcpy(q + at, back + at, len);
		}
		ok(!memcmp(q + at, back + at, len), "the same bytes");
	}
	ok(!memcmp(q, back, LEN), "all of them");
	munmap(q, LEN);
	munmap(hole, 2 * room);
	free(back);
}

/* What looks at pages that haven't been used for long; in pieces of huge ones, too. */
TEST(test_aging)
{
	const int hows[] = { MADV_COLD, MADV_PAGEOUT };

	memset(p, 9, LEN);
	for (int i = 0; i < 2; i++) {
		ok(!madvise(p, LEN, hows[i]) && !madvise(p + MIB, 2 * MIB + 4096, hows[i]),
		   "madvise(%d) of all and of a part", hows[i]);
		for (size_t at = 0; at < LEN; at += 4096)
			ok(p[at] == 9, "the byte at %zu is the same", at);
	}
}

/* The kernel finds bad memory, as after a machine check. */
TEST(test_memory_failure)
{
	char *page = p + 3 * MIB, buf[4096] = "";
	int status;

	memset(page, 1, 4096);
	signal(SIGBUS, SIG_IGN);	/* we are told, too */
	if (!fork()) {
		/* It dies of the signal, or gets it when it touches the page. */
		signal(SIGBUS, SIG_DFL);
		madvise(page, 4096, MADV_HWPOISON);
		_exit(touch(page, false) != SIGBUS);
	}
	ok(wait(&status) > 0 && (!status || WTERMSIG(status) == SIGBUS),
	   "whoever has it mapped is told");
	ok(touch(page, false) == SIGBUS, "touching it is SIGBUS");
	ok(!touch(page - 4096, true) && !touch(page + 4096, true), "not so those around it");
	ok(pread(fd, buf, 4096, 3 * MIB) == -1 && errno == EIO, "reading it is EIO");
	ok(pwrite(fd, buf, 4096, 3 * MIB) == 4096 && !touch(page, true),
	   "when it is written it's good");
}

TEST(test_until_gone)
{
	int got;

	memset(p, 1, LEN);
	printf("# mapped\n");
	fflush(stdout);
	do {
		got = touch(p + (size_t)rand() % LEN, true);
		usleep(100);
	} while (!got);
	ok(got == SIGBUS, "the mapping is SIGBUS");
	/* It's not all taken away in one moment. */
	for (size_t at = 0; at < LEN; at += MIB / 2)
		while (!touch(p + at, at & MIB))
			usleep(1000);
	ok(pread(fd, p, 1, 0) == -1, "it can't be read");
	sleep(3);
	for (size_t at = 0; at < LEN; at += MIB / 2)
		ok(touch(p + at, at & MIB) == SIGBUS, "all of it is, also when there is a new device");
}

/* Pins 16 pages, by a registered buffer, or by a pipe that holds them. */
static int pin(bool by_pipe)
{
	struct io_uring_params params;
	struct iovec iov = { p + 4 * MIB, 16 * 4096 };
	int ends[2];

	memset(iov.iov_base, 1, iov.iov_len);
	if (by_pipe)
		return pipe(ends) || vmsplice(ends[1], &iov, 1, 0) != (ssize_t)iov.iov_len ? -1 : 0;
	return register_buffer(uring(&params), iov.iov_base, iov.iov_len);
}

static int hold(const char *how)
{
	if (begin(NULL) || pin(!strcmp(how, "pipe"))) {
		perror("dax_map: pin");
		return 1;
	}
	end(NULL);
	close(fd);
	printf("# pinned\n");
	fflush(stdout);
	for (;;)
		pause();
}

#define WITH_MAP(what, function) \
	{ .name = what, .test_func = function, .setup_func = begin, .teardown_func = end }

static const struct CMUnitTest tests[] = {
	WITH_MAP("huge pages", test_huge),
	WITH_MAP("loads and stores", test_contents),
	WITH_MAP("direct I/O", test_direct_io),
	WITH_MAP("registered buffers", test_registered),
	WITH_MAP("futexes", test_futex),
	WITH_MAP("other processes", test_other_processes),
	WITH_MAP("changes at random", test_changes),
	WITH_MAP("pages grown old", test_aging),
	WITH_MAP("memory failure", test_memory_failure),
};

static const struct CMUnitTest until_gone[] = {
	WITH_MAP("mapped memory that goes away", test_until_gone),
};

int main(int argc, char **argv)
{
	struct stat stat;

	if (argc != 3)
		return 2;
	fd = open(argv[1], O_RDWR);
	if (fd < 0 || fstat(fd, &stat)) {
		perror(argv[1]);
		return 2;
	}
	chr = S_ISCHR(stat.st_mode);
	if (!strcmp(argv[2], "pipe") || !strcmp(argv[2], "ring"))
		return hold(argv[2]);
	if (!strcmp(argv[2], "until-gone"))
		return run(until_gone);
	disk = open(argv[2], O_RDWR | O_DIRECT);
	if (disk < 0) {
		perror(argv[2]);
		return 2;
	}
	return run(tests);
}
