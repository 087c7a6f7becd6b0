/* SPDX-License-Identifier: GPL-2.0 */
/* Accesses that may be a signal; to be included before unit.h. */
#ifndef KARRAY_TEST_TOUCH_H
#define KARRAY_TEST_TOUCH_H

#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

static sigjmp_buf jump;
static int bus_code __attribute__((unused));

static void on_signal(int signal, siginfo_t *info, void *context)
{
	(void)context;
	bus_code = info->si_code;
	siglongjmp(jump, signal);
}

/* The signal that touching @at raises, or 0. cmocka has handlers of its own. */
static int touch(volatile char *at, bool write)
{
	const struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	int got;

	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
	got = sigsetjmp(jump, 1);

	if (!got) {
		if (write)
			*at = *at + 1;
		else
			(void)*at;
	}
	return got;
}

#endif
