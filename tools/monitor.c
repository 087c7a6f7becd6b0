// SPDX-License-Identifier: GPL-2.0
/* karrayctl monitor: devices as they come, change and go, from the kernel's uevents. */

#define _GNU_SOURCE
#include <errno.h>
#include <libsmartcols.h>
#include <libudev.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "karrayctl.h"

static const char *const headings[] = { "TIME", "ACTION", "NAME", "STATE" };

static struct libscols_table *new_table(const struct options *options)
{
	struct libscols_table *table = table_new(options);
	size_t i;

	scols_table_enable_noheadings(table, 1);
	for (i = 0; i < ARRAY_SIZE(headings); i++)
		must(scols_table_new_column(table, headings[i], 0, 0));
	return table;
}

/* An event is a table of one line, so that each can be used as it comes. */
static int print_event(const struct options *options, struct udev_device *device)
{
	const char *state = udev_device_get_property_value(device, "KARRAY_STATE");
	struct libscols_table *table = new_table(options);
	struct libscols_line *line = must(scols_table_new_line(table, NULL));
	time_t now = time(NULL);
	struct tm tm;
	char when[32];

	strftime(when, sizeof(when), "%FT%T%z", localtime_r(&now, &tm));
	if (scols_line_set_data(line, 0, when) ||
	    scols_line_set_data(line, 1, udev_device_get_action(device)) ||
	    scols_line_set_data(line, 2, udev_device_get_sysname(device)) ||
	    scols_line_set_data(line, 3, state ?: udev_device_get_sysattr_value(device, "state")))
		must(NULL);
	return table_print(table);
}

/* Nodes are events, too, of a class with the bus's name. */
static bool is_device(struct udev_device *device)
{
	return !udev_device_get_devnode(device);
}

static int watch(const struct options *options, struct udev_monitor *monitor, int signals)
{
	struct pollfd fds[] = {
		{ .fd = udev_monitor_get_fd(monitor), .events = POLLIN },
		{ .fd = signals, .events = POLLIN },
	};
	struct udev_device *device;
	int status = EXIT_SUCCESS;

	while (!status) {
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
			break;
		if (fds[1].revents)
			return EXIT_SUCCESS;
		while (!status && (device = udev_monitor_receive_device(monitor))) {
			if (is_device(device))
				status = print_event(options, device);
			udev_device_unref(device);
		}
	}
	if (!status)
		say("cannot hear the kernel's events any more: %s", strerror(errno));
	return EXIT_FAILURE;
}

int verb_monitor(const struct options *options, char **args)
{
	struct udev *udev = must(udev_new());
	struct udev_monitor *monitor = udev_monitor_new_from_netlink(udev, "kernel");
	int signals, status = EXIT_FAILURE;
	sigset_t set;

	if (*args) {
		say("monitor takes no devices");
		status = EXIT_USAGE;
		goto out;
	}
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (!monitor || signals < 0 ||
	    udev_monitor_filter_add_match_subsystem_devtype(monitor, "karray", NULL) < 0 ||
	    udev_monitor_enable_receiving(monitor) < 0)
		say("cannot hear the kernel's events: %s", strerror(errno));
	else
		status = watch(options, monitor, signals);
	if (signals >= 0)
		close(signals);
out:
	udev_monitor_unref(monitor);
	udev_unref(udev);
	return status;
}
