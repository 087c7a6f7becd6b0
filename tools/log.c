// SPDX-License-Identifier: GPL-2.0
/*
 * Why the kernel refuses: an errno is all that a write to sysfs returns, the sentence is in
 * the kernel's log. Its records name the device (Documentation/ABI/testing/dev-kmsg):
 *
 *	4,1017,25284163,-;karray karray1: busy, stays online: users: disk 1
 *	 SUBSYSTEM=karray
 *	 DEVICE=+karray:karray1
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "karrayctl.h"

int log_open(void)
{
	int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (log >= 0)
		lseek(log, 0, SEEK_END);
	return log;
}

/* What is less than a notice isn't why something was refused. */
#define LOG_NOTICE	5

/* The sentence of a record that is about the device, or about any or none of karray's. */
static const char *about(char *record, const char *name)
{
	static const char prefix[] = "karray: ";
	char *start = strchr(record, ';'), *end, *wanted;
	bool found;

	if (!start || (strtoul(record, NULL, 10) & 7) > LOG_NOTICE)
		return NULL;
	start++;
	end = strchr(start, '\n');
	if (!end)
		return NULL;
	if (!name && !strncmp(start, prefix, strlen(prefix))) {
		*end = '\0';
		return start + strlen(prefix);
	}
	if (!name) {
		found = strstr(end, "\n DEVICE=+karray:");
		*end = '\0';
		return found ? start : NULL;
	}

	wanted = text("\n DEVICE=+karray:%s\n", name);
	found = strstr(end, wanted);
	free(wanted);
	if (!found)
		return NULL;

	/* "DRIVER DEVICE: " comes before it. */
	wanted = text("%s: ", name);
	*end = '\0';
	end = strstr(start, wanted);
	start = end ? end + strlen(wanted) : start;
	free(wanted);
	return start;
}

/* The next record; false if there is none. */
static bool log_next(int log, char *record, size_t size)
{
	ssize_t len;

	/* EPIPE: records were overwritten before they were read. */
	do {
		len = log < 0 ? 0 : read(log, record, size - 1);
	} while (len < 0 && (errno == EPIPE || errno == EINTR));
	if (len <= 0)
		return false;
	record[len] = '\0';
	return true;
}

char *log_reason(int log, const char *name)
{
	char record[8192], *reason = NULL;
	const char *sentence;

	while (log_next(log, record, sizeof(record))) {
		sentence = about(record, name);
		if (sentence) {
			free(reason);
			reason = text("%s", sentence);
		}
	}
	return reason;
}

bool log_says(int log, const char *words)
{
	char record[8192];
	bool found = false;

	while (log_next(log, record, sizeof(record)))
		found |= !!strstr(record, words);
	return found;
}
