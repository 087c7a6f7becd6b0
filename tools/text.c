// SPDX-License-Identifier: GPL-2.0
/* What karrayctl says, and what it is told: messages, sizes, questions. */

#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "karrayctl.h"

void *must(void *memory)
{
	if (!memory) {
		say("out of memory");
		exit(EXIT_FAILURE);
	}
	return memory;
}

static char *vtext(const char *format, va_list args)
{
	char *out;

	return must(vasprintf(&out, format, args) < 0 ? NULL : out);
}

char *text(const char *format, ...)
{
	va_list args;
	char *out;

	va_start(args, format);
	out = vtext(format, args);
	va_end(args);
	return out;
}

static bool logged;

void log_messages(void)
{
	logged = true;
}

void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (logged) {
		vsyslog(LOG_DAEMON | LOG_NOTICE, format, args);
	} else {
		fputs("karrayctl: ", stderr);
		vfprintf(stderr, format, args);
		fputc('\n', stderr);
	}
	va_end(args);
}

char *human_size(uint64_t bytes)
{
	static const char units[] = "BKMGTPE";
	unsigned int unit = 0, tenths;
	uint64_t rest = 0;

	while (bytes >= 1024 && units[unit + 1]) {
		rest = bytes % 1024;
		bytes /= 1024;
		unit++;
	}
	tenths = rest * 10 / 1024;
	if (tenths)
		return text("%" PRIu64 ".%u%c", bytes, tenths, units[unit]);
	return text("%" PRIu64 "%c", bytes, units[unit]);
}

/* A number with a unit, and what comes after it. */
static bool scan_size(const char *arg, uint64_t *bytes, char **end)
{
	static const char units[] = "KMGTPE";
	const char *unit;
	int shift;

	if (!isdigit((unsigned char)*arg))
		return false;
	errno = 0;
	*bytes = strtoull(arg, end, 0);
	if (errno)
		return false;
	unit = **end ? strchr(units, toupper((unsigned char)**end)) : NULL;
	if (!unit)
		return true;
	shift = 10 * (unit - units + 1);
	(*end)++;
	if (!strncmp(*end, "iB", 2))
		*end += 2;
	if (*bytes > UINT64_MAX >> shift)
		return false;
	*bytes <<= shift;
	return true;
}

bool parse_size(const char *arg, uint64_t *bytes)
{
	char *end;

	return scan_size(arg, bytes, &end) && !*end;
}

bool parse_range(const char *arg, char between, uint64_t *first, uint64_t *second)
{
	char *end;

	return scan_size(arg, first, &end) && *end == between &&
	       parse_size(end + 1, second);
}

bool confirmed(const struct options *options, const char *format, ...)
{
	char *question, *line = NULL;
	bool yes = false;
	size_t size = 0;
	va_list args;

	if (options->force)
		return true;
	va_start(args, format);
	question = vtext(format, args);
	va_end(args);
	if (!isatty(STDIN_FILENO)) {
		say("%s Use --force to say yes", question);
	} else {
		fprintf(stderr, "%s [y/N] ", question);
		if (getline(&line, &size, stdin) > 0)
			yes = tolower((unsigned char)line[0]) == 'y';
	}
	free(line);
	free(question);
	return yes;
}

const char *meaning(int error)
{
	switch (error) {
	case EACCES:
	case EPERM:
		return "this needs root";
	case EROFS:
		return "its setting read_only is 1";
	case EIO:
		return "there is bad memory, which karrayctl badblocks lists";
	case ENODEV:
	case ENXIO:
	case ENOENT:
		return "it has gone";
	default:
		return strerror(error);
	}
}

int count_message(const char *done, unsigned int n, unsigned int failed)
{
	if (failed)
		say("%u device%s %s, %u failed", n, n == 1 ? "" : "s", done, failed);
	else
		say("%u device%s %s", n, n == 1 ? "" : "s", done);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

void progress(const char *what, uint64_t done, uint64_t all)
{
	static unsigned int last = UINT32_MAX;
	unsigned int percent = all ? done / (all / 100 + 1) : 100;

	if (done >= all)
		percent = 100;
	if (!isatty(STDERR_FILENO) || percent == last)
		return;
	last = percent;
	/* The line is cleared when it's done. */
	if (percent < 100)
		fprintf(stderr, "\r%s: %u %%", what, percent);
	else
		fputs("\r\033[K", stderr);
	fflush(stderr);
}
