// SPDX-License-Identifier: GPL-2.0
/* The devices on bus "karray", their nodes and attributes, as sysfs has them. */

#define _GNU_SOURCE
#include <blkid/blkid.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "karrayctl.h"

#define BUS	"/sys/bus/karray"
#define DEVICES	BUS "/devices"
#define LOCKS	"/run/karray"

bool karray_loaded(void)
{
	if (!access(DEVICES, F_OK))
		return true;
	say("karray is not loaded: modprobe karray");
	return false;
}

/* Reads a small file below the device, "karray/karray/dev". */
static char *read_at(int dir, const char *path)
{
	char buf[4096];
	ssize_t len;
	int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return NULL;
	len = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	if (len < 0)
		return NULL;
	buf[len] = '\0';
	while (len && buf[len - 1] == '\n')
		buf[--len] = '\0';
	return text("%s", buf);
}

/* The one child of the device in a class, and its number. */
static void find_node(const struct device *dev, const char *class, char *name, dev_t *number)
{
	unsigned int major, minor;
	struct dirent *entry;
	char *path, *dev_text;
	DIR *dir;
	int fd;

	name[0] = '\0';
	fd = openat(dev->dir, class, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || strlen(entry->d_name) >= sizeof(dev->chr))
			continue;
		path = text("%s/%s/dev", class, entry->d_name);
		dev_text = read_at(dev->dir, path);
		if (dev_text && sscanf(dev_text, "%u:%u", &major, &minor) == 2) {
			strcpy(name, entry->d_name);
			*number = makedev(major, minor);
		}
		free(dev_text);
		free(path);
	}
	closedir(dir);
}

void device_nodes(struct device *dev)
{
	find_node(dev, "karray", dev->chr, &dev->chr_dev);
	find_node(dev, "block", dev->disk, &dev->disk_dev);
}

static bool device_open(struct device *dev, const char *name)
{
	char *path;

	if (strlen(name) >= sizeof(dev->name))
		return false;
	strcpy(dev->name, name);
	path = text(DEVICES "/%s", name);
	dev->lock = -1;
	dev->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(path);
	if (dev->dir < 0)
		return false;
	device_nodes(dev);
	return true;
}

static void device_close(struct device *dev)
{
	if (dev->lock >= 0)
		close(dev->lock);
	close(dev->dir);
}

static void devices_add(struct devices *devs, const char *name)
{
	devs->dev = must(reallocarray(devs->dev, devs->count + 1, sizeof(*devs->dev)));
	if (device_open(&devs->dev[devs->count], name))
		devs->count++;
}

struct devices devices_all(void)
{
	struct devices devs = { 0 };
	struct dirent **names;
	int i, n = scandir(DEVICES, &names, NULL, versionsort);

	for (i = 0; i < n; i++) {
		if (names[i]->d_name[0] != '.')
			devices_add(&devs, names[i]->d_name);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
	return devs;
}

void devices_free(struct devices *devs)
{
	while (devs->count)
		device_close(&devs->dev[--devs->count]);
	free(devs->dev);
	devs->dev = NULL;
}

/* Is it the device's name, or that of one of its nodes, or a path to one or to a partition? */
static bool is_named(const struct device *dev, const char *name)
{
	struct stat st;
	dev_t disk;

	if (!*name)
		return false;
	if (!strchr(name, '/'))
		return !strcmp(name, dev->name) || !strcmp(name, dev->disk) ||
		       !strcmp(name, dev->chr);
	if (stat(name, &st))
		return false;
	if (S_ISCHR(st.st_mode))
		return dev->chr[0] && st.st_rdev == dev->chr_dev;
	return S_ISBLK(st.st_mode) && dev->disk[0] &&
	       !blkid_devno_to_wholedisk(st.st_rdev, NULL, 0, &disk) && disk == dev->disk_dev;
}

struct devices devices_named(char **names, unsigned int *failed)
{
	struct devices all = devices_all();
	bool *wanted = must(calloc(all.count + 1, sizeof(*wanted)));
	size_t i, n = 0;

	for (; *names; names++) {
		bool found = !strcmp(*names, "all");

		for (i = 0; i < all.count; i++) {
			if (strcmp(*names, "all") && !is_named(&all.dev[i], *names))
				continue;
			wanted[i] = true;
			found = true;
		}
		if (!found) {
			say("there is no device '%s'; karrayctl list shows what there is", *names);
			(*failed)++;
		}
	}
	for (i = 0; i < all.count; i++)
		if (wanted[i])
			all.dev[n++] = all.dev[i];
		else
			device_close(&all.dev[i]);
	all.count = n;
	free(wanted);
	return all;
}

int devices_each(char **names, int (*fn)(struct device *dev, void *arg), void *arg,
		 unsigned int *done, unsigned int *failed)
{
	struct devices devs;
	size_t i;
	int ret;

	*done = 0;
	*failed = 0;
	if (!*names) {
		say("which devices? Name them, or say all");
		return EXIT_USAGE;
	}
	if (!karray_loaded())
		return EXIT_FAILURE;
	devs = devices_named(names, failed);
	for (i = 0; i < devs.count; i++) {
		ret = fn(&devs.dev[i], arg);
		*done += !ret;
		*failed += ret < 0;
	}
	devices_free(&devs);
	return 0;
}

char *device_get(const struct device *dev, const char *attr)
{
	return read_at(dev->dir, attr);
}

bool device_is(const struct device *dev, const char *attr, const char *value)
{
	char *is = device_get(dev, attr);
	bool same = is && !strcmp(is, value);

	free(is);
	return same;
}

uint64_t device_size(const struct device *dev)
{
	char *size = device_get(dev, "size");
	uint64_t bytes = size ? strtoull(size, NULL, 10) : 0;

	free(size);
	return bytes;
}

static int write_at(int dir, const char *path, const char *value)
{
	int fd = openat(dir, path, O_WRONLY | O_CLOEXEC), error = 0;

	if (fd < 0)
		return errno;
	if (write(fd, value, strlen(value)) < 0)
		error = errno;
	close(fd);
	return error;
}

int device_put(const struct device *dev, const char *attr, const char *value)
{
	return write_at(dev->dir, attr, value);
}

int bus_put(const char *attr, const char *value)
{
	char *path = text(BUS "/%s", attr);
	int error = write_at(AT_FDCWD, path, value);

	free(path);
	return error;
}

bool device_is_there(const struct device *dev)
{
	return !faccessat(dev->dir, "size", F_OK, 0);
}

static bool udev_waits;

void called_by_udev(void)
{
	udev_waits = true;
	log_messages();
}

void wait_for_udev(void)
{
	static char *const settle[] = { "udevadm", "settle", "--timeout=10", NULL };
	pid_t pid;

	/* udevadm asks the daemon whether it has read all events. */
	if (!udev_waits && !access("/run/udev/control", F_OK) &&
	    !posix_spawnp(&pid, settle[0], NULL, NULL, settle, environ))
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
}

/* In a directory where nobody else can lock anything. Who can't write there can't change devices. */
void device_lock(struct device *dev)
{
	char *path;

	if (dev->lock >= 0)
		return;
	wait_for_udev();
	mkdir(LOCKS, 0700);
	path = text(LOCKS "/%s.lock", dev->name);
	dev->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	free(path);
	if (dev->lock >= 0 && flock(dev->lock, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK) {
		say("%s: waiting for another karrayctl", dev->name);
		while (flock(dev->lock, LOCK_EX) && errno == EINTR)
			;
	}
}
