// SPDX-License-Identifier: GPL-2.0
/*
 * Fails the first allocation that a system call makes, then the second, and so on, until
 * there is none left to fail (/proc/thread-self/fail-nth). Each time the state afterwards
 * must be as it was before: devices, their states and users, nodes, claims, mappings,
 * mounts, memory blocks. Where the call succeeded, for some do without what they did not
 * get, another call undoes it first. In the end the call must succeed.
 *
 * usage: fail_nth STEP CALL / UNDO
 *
 * where both are one of
 *
 *	insmod FILE PARAMETERS
 *	rmmod NAME
 *	write FILE TEXT
 *	open FILE
 *	map FILE BYTES			and writes all pages
 *	fill FILE BYTES
 *	checksum FILE BYTES
 *	direct FILE BYTES		reads into memory of its own
 *	mount DISK TYPE OPTIONS		on /mnt
 *	umount
 *	nothing
 *
 * Prints how many allocations were failed, every STEPth, and how many of the calls failed
 * for it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/karray.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "touch.h"

#define PAGE	4096

/* The call: what comes before it and after it is not to fail. */
struct call {
	const char *name;
	int args;
	/* These return 0 or an error. */
	int (*prepare)(char **args);
	int (*make)(char **args);
};

static int fd = -1;
static char *memory = MAP_FAILED;
static size_t size;

static int error(long ret)
{
	return ret < 0 ? errno : 0;
}

static int open_to_read(char **args)
{
	fd = open(args[0], O_RDONLY | O_CLOEXEC);
	return error(fd);
}

static int open_to_write(char **args)
{
	fd = open(args[0], O_WRONLY | O_CLOEXEC);
	return error(fd);
}

static int open_with_size(char **args)
{
	size = strtoull(args[1], NULL, 0);
	fd = open(args[0], O_RDWR | O_CLOEXEC);
	return error(fd);
}

static int open_with_buffer(char **args)
{
	int ret = open_with_size(args);

	if (ret)
		return ret;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	return memory == MAP_FAILED ? errno : 0;
}

static int nothing(char **args)
{
	(void)args;
	return 0;
}

static int insmod(char **args)
{
	return error(syscall(SYS_finit_module, fd, args[1], 0));
}

static int rmmod(char **args)
{
	return error(syscall(SYS_delete_module, args[0], O_NONBLOCK));
}

static int write_text(char **args)
{
	return error(write(fd, args[1], strlen(args[1])));
}

static int map(char **args)
{
	(void)args;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return errno;
	errno = 0;
	for (size_t at = 0; at < size; at += PAGE)
		if (touch(memory + at, true))
			errno = EFAULT;
	return errno;
}

static int fill(char **args)
{
	struct karray_fill what = { .length = size };

	(void)args;
	return error(ioctl(fd, KARRAY_IOC_FILL, &what));
}

static int checksum(char **args)
{
	struct karray_checksum what = { .length = size };

	(void)args;
	return error(ioctl(fd, KARRAY_IOC_CHECKSUM, &what));
}

static int direct(char **args)
{
	(void)args;
	return error(pread(fd, memory, size, 0));
}

static int mount_disk(char **args)
{
	return error(mount(args[0], "/mnt", args[1], 0, args[2]));
}

static int umount_disk(char **args)
{
	(void)args;
	return error(umount("/mnt"));
}

static void forget(void)
{
	if (memory != MAP_FAILED)
		munmap(memory, size);
	memory = MAP_FAILED;
	if (fd >= 0)
		close(fd);
	fd = -1;
}

static const struct call calls[] = {
	{ "insmod", 2, open_to_read, insmod },
	{ "rmmod", 1, nothing, rmmod },
	{ "write", 2, open_to_write, write_text },
	{ "open", 1, nothing, open_to_read },
	{ "map", 2, open_with_size, map },
	{ "fill", 2, open_with_size, fill },
	{ "checksum", 2, open_with_size, checksum },
	{ "direct", 2, open_with_buffer, direct },
	{ "mount", 3, nothing, mount_disk },
	{ "umount", 0, nothing, umount_disk },
	{ "nothing", 0, nothing, nothing },
};

/* Sets how many allocations from now on one is to fail; 0 for none. Returns what is left. */
static int fail_nth(int n)
{
	static int control = -1;
	char text[16] = "";
	int left;

	if (control < 0)
		control = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	if (control < 0 || pread(control, text, sizeof(text) - 1, 0) < 1) {
		perror("fail_nth: /proc/thread-self/fail-nth");
		exit(2);
	}
	left = atoi(text);
	snprintf(text, sizeof(text), "%d", n);
	if (pwrite(control, text, strlen(text), 0) < 0) {
		perror("fail_nth: /proc/thread-self/fail-nth");
		exit(2);
	}
	return left;
}

/* The state: text, of which only the size is limited. */
static char *end_of_text, *text_limit;

static void add(const char *text)
{
	end_of_text = stpncpy(end_of_text, text, text_limit - end_of_text);
}

/* The lines of a file, with @word in them if there is one. */
static void add_file(const char *path, const char *word)
{
	FILE *file = fopen(path, "r");
	char line[512];

	while (file && fgets(line, sizeof(line), file))
		if (!word || strstr(line, word))
			add(line);
	if (file)
		fclose(file);
}

static void count_lines(const char *path, const char *word)
{
	FILE *file = fopen(path, "r");
	char line[512];
	int count = 0;

	while (file && fgets(line, sizeof(line), file))
		count += !!strstr(line, word);
	if (file)
		fclose(file);
	snprintf(line, sizeof(line), "%d lines of %s have %s\n", count, path, word);
	add(line);
}

/* The files that match, by name, and what is in them where that is asked for. */
static void add_all(const char *pattern, bool contents)
{
	glob_t found;

	if (glob(pattern, 0, NULL, &found))
		return;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		add(found.gl_pathv[i]);
		add("\n");
		if (contents)
			add_file(found.gl_pathv[i], NULL);
	}
	globfree(&found);
}

static void state(char *into, size_t len)
{
	memset(into, 0, len);
	end_of_text = into;
	text_limit = into + len - 1;
	add_all("/dev/karray*", false);
	add_all("/sys/bus/karray/devices/*/state", true);
	add_all("/sys/bus/karray/devices/*/users", true);
	add_all("/sys/devices/system/memory/memory*/state", true);
	add_file("/proc/iomem", NULL);
	add_file("/proc/mounts", NULL);
	add_file("/proc/devices", "karray");
	count_lines("/proc/vmallocinfo", "memremap");
}

/* The call that the words tell, whose arguments come behind its name. */
static const struct call *find_call(char **words, int count)
{
	for (size_t i = 0; count && i < sizeof(calls) / sizeof(*calls); i++)
		if (!strcmp(calls[i].name, words[0]) && count == 1 + calls[i].args)
			return &calls[i];
	fputs("usage: fail_nth STEP CALL [ARGUMENT...] / UNDO [ARGUMENT...]\n", stderr);
	exit(2);
}

int main(int argc, char **argv)
{
	static char before[1 << 20], after[1 << 20];
	int step = argc > 1 ? atoi(argv[1]) : 0, points = 0, failed = 0, middle = 2;
	const struct call *call, *undo;
	int ret, left = 0;

	while (middle < argc && strcmp(argv[middle], "/"))
		middle++;
	call = find_call(argv + 2, step > 0 ? middle - 2 : 0);
	undo = find_call(argv + middle + 1, argc - middle - 1);

	setvbuf(stdout, NULL, _IOLBF, 0);
	state(before, sizeof(before));
	for (int n = 1; !left; n += step) {
		ret = call->prepare(argv + 3);
		if (ret) {
			printf("allocation %d: before the call: %s\n", n, strerror(ret));
			return 1;
		}
		fail_nth(n);
		ret = call->make(argv + 3);
		left = fail_nth(0);
		forget();
		if (!ret) {
			int err = undo->prepare(argv + middle + 2) ?: undo->make(argv + middle + 2);

			forget();
			if (err) {
				printf("allocation %d: %s: %s\n", n, undo->name, strerror(err));
				return 1;
			}
		}
		state(after, sizeof(after));
		if (strcmp(before, after)) {
			printf("allocation %d: %s, and the state was\n%s, and is\n%s\n", n,
			       ret ? strerror(ret) : "success", before, after);
			return 1;
		}
		if (!left) {
			points++;
			failed += ret != 0;
		}
	}
	if (ret)
		printf("nothing failed, but the call: %s\n", strerror(ret));
	else
		printf("%d allocations failed, %d calls\n", points, failed);
	return ret;
}
