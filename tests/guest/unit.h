/* SPDX-License-Identifier: GPL-2.0 */
/* What cmocka wants to be included before it, and how our tests use it. */
#ifndef KARRAY_TEST_UNIT_H
#define KARRAY_TEST_UNIT_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TEST(function)	static void function(void **state __attribute__((unused)))

/*
 * A test fails, and ends, where this is not so; the format says what should be. That
 * fail_msg() doesn't return is nothing that cmocka tells the compiler.
 */
#define ok(good, format, ...) do {						\
	if (!(good)) {								\
		fail_msg(format " (errno: %s)", ##__VA_ARGS__, strerror(errno));	\
		abort();							\
	}									\
} while (0)

/* Runs an array of struct CMUnitTest; the harness relays what this prints. */
#define run(tests) \
	(cmocka_set_message_output(CM_OUTPUT_TAP), cmocka_run_group_tests(tests, NULL, NULL) != 0)

#endif
