/* SPDX-License-Identifier: GPL-2.0 */
/* Test points for guest programs; the harness relays the lines it sees. */
#ifndef KARRAY_TEST_TAP_H
#define KARRAY_TEST_TAP_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int tap_count, tap_failed;

static inline bool __attribute__((format(printf, 2, 3)))
ok(bool good, const char *format, ...)
{
	int error = errno;
	va_list args;

	printf("%sok %d - ", good ? "" : "not ", ++tap_count);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	if (!good) {
		tap_failed++;
		printf("# errno %d (%s)\n", error, strerror(error));
	}
	fflush(stdout);
	return good;
}

/* The plan comes last: a program that dies before has none. */
static inline int done_testing(void)
{
	printf("1..%d\n", tap_count);
	return tap_failed != 0;
}

#endif
