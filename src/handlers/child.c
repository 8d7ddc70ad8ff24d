/* child.c - processes that handlers start, and how they are ended.
 *
 * SPDX-License-Identifier: MIT
 *
 * posix_spawn(3) and not fork(2): there are many threads, and copying the page
 * tables of a process that holds megabytes for each file costs more than the
 * file.
 *
 * Descriptors.  Ours are close-on-exec, but libraries open some that are not.
 * So the child closes everything above 2, where the C library can be told to;
 * else all that is open is marked before, and what a library opens just then
 * is inherited.
 *
 * Whether a child has ended is asked with WNOWAIT: until it is reaped, its
 * number and that of its group belong to nobody else, so signals reach
 * whom they are meant for.  It tells by a pidfd, so that poll(2) can wait for
 * it; before Linux 5.3 by being asked.
 */
#include "config.h"

#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    TERM_MS = 500, /* from TERM to KILL */
    KILL_MS = 1000 /* what cannot even be killed sleeps in the kernel */
};

int64_t pf_child_now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* always there */
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* --- starting -------------------------------------------------------------- */

int pf_child_pipe(int fds[2])
{
    int error;

    if (pipe2(fds, O_CLOEXEC) != 0)
        return errno;
    for (int i = 0; i < 2; i++) {
        int moved;

        if (fds[i] > STDERR_FILENO)
            continue;
        moved = fcntl(fds[i], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        if (moved < 0) {
            error = errno;
            (void)close(fds[0]); /* nothing was written */
            (void)close(fds[1]);
            return error;
        }
        (void)close(fds[i]);
        fds[i] = moved;
    }
    return 0;
}

static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, usual;
    int error;

    (void)sigemptyset(&none); /* neither fails for signals that exist */
    (void)sigemptyset(&usual);
    (void)sigaddset(&usual, SIGPIPE);
    (void)sigaddset(&usual, SIGXFSZ);
    error = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP
                                     | POSIX_SPAWN_SETSIGMASK
                                     | POSIX_SPAWN_SETSIGDEF);
    if (error == 0)
        error = posix_spawnattr_setpgroup(attributes, 0);
    if (error == 0)
        error = posix_spawnattr_setsigmask(attributes, &none);
    if (error == 0)
        error = posix_spawnattr_setsigdefault(attributes, &usual);
    return error;
}

static int set_files(posix_spawn_file_actions_t *files, int in, int out)
{
    int error = in >= 0
        ? posix_spawn_file_actions_adddup2(files, in, STDIN_FILENO)
        : posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null",
                                           O_RDONLY, 0);

    if (error == 0 && out >= 0)
        error = posix_spawn_file_actions_adddup2(files, out, STDOUT_FILENO);
#ifdef HAVE_POSIX_SPAWN_FILE_ACTIONS_ADDCLOSEFROM_NP
    if (error == 0)
        error = posix_spawn_file_actions_addclosefrom_np(files,
                                                         STDERR_FILENO + 1);
#elif defined(SYS_close_range)
    /* 4: CLOSE_RANGE_CLOEXEC.  An old kernel knows neither; then what is
     * marked already has to do. */
    (void)syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 4U);
#endif
    return error;
}

static int spawn(pid_t *pid, char *const words[], char *const env[], int in,
                 int out)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    int error = posix_spawnattr_init(&attributes);

    if (error != 0)
        return error;
    error = posix_spawn_file_actions_init(&files);
    if (error == 0) {
        error = set_attributes(&attributes);
        if (error == 0)
            error = set_files(&files, in, out);
        if (error == 0)
            error = posix_spawnp(pid, words[0], &files, &attributes, words,
                                 env != NULL ? env : environ);
        (void)posix_spawn_file_actions_destroy(&files);
    }
    (void)posix_spawnattr_destroy(&attributes);
    return error;
}

/* Close-on-exec by itself; -1: there is none. */
static int open_pidfd(pid_t pid)
{
#ifdef SYS_pidfd_open
    return (int)syscall(SYS_pidfd_open, pid, 0);
#else
    (void)pid;
    return -1;
#endif
}

int pf_child_start(struct pf_child *child, char *const words[],
                   char *const env[], int in, int out)
{
    pid_t pid;
    int error = spawn(&pid, words, env, in, out);

    *child = (struct pf_child){ .exit_fd = -1, .deadline_ms = INT64_MAX };
    if (error != 0)
        return error;
    child->pid = pid;
    child->exit_fd = open_pidfd(pid);
    return 0;
}

/* --- ending ---------------------------------------------------------------- */

bool pf_child_has_ended(const struct pf_child *child)
{
    siginfo_t info = { .si_pid = 0 };

    if (waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT)
        == 0)
        return info.si_pid != 0;
    return errno == ECHILD; /* somebody else has reaped it */
}

void pf_child_signal(struct pf_child *child, int signal_number)
{
    (void)kill(-child->pid, signal_number); /* ESRCH: nobody is left */
    child->signalled = signal_number;
}

void pf_child_reap(struct pf_child *child, int *status)
{
    if (child->signalled != 0)
        pf_child_signal(child, SIGKILL);
    if (waitpid(child->pid, status, WNOHANG) != child->pid)
        *status = -1;
    if (child->exit_fd >= 0)
        (void)close(child->exit_fd); /* nothing was written */
    *child = (struct pf_child){ .exit_fd = -1, .deadline_ms = INT64_MAX };
}

void pf_child_expect_end(struct pf_child *child, int64_t ms)
{
    int64_t at_ms = pf_child_now_ms() + ms;

    if (at_ms < child->deadline_ms)
        child->deadline_ms = at_ms;
}

bool pf_child_press(struct pf_child *child)
{
    int64_t now_ms = pf_child_now_ms();

    if (now_ms < child->deadline_ms)
        return true;
    switch (child->signalled) {
    case SIGKILL:
        return false;
    case SIGTERM:
        pf_child_signal(child, SIGKILL);
        child->deadline_ms = now_ms + KILL_MS;
        return true;
    default:
        pf_child_signal(child, SIGTERM);
        child->deadline_ms = now_ms + TERM_MS;
        return true;
    }
}

int pf_child_timeout_ms(const struct pf_child *child)
{
    int64_t left_ms = child->exit_fd < 0 ? PF_CHILD_LOOK_MS : INT64_MAX;

    if (child->deadline_ms != INT64_MAX) {
        int64_t until_ms = child->deadline_ms - pf_child_now_ms();

        if (until_ms < left_ms)
            left_ms = until_ms > 0 ? until_ms : 0;
    }
    return left_ms > INT32_MAX ? -1 : (int)left_ms;
}

static const char *signal_name(int number)
{
    static const struct {
        int number;
        const char *name;
    } names[] = {
        { SIGHUP, " (HUP)" },   { SIGINT, " (INT)" },   { SIGQUIT, " (QUIT)" },
        { SIGILL, " (ILL)" },   { SIGTRAP, " (TRAP)" }, { SIGABRT, " (ABRT)" },
        { SIGBUS, " (BUS)" },   { SIGFPE, " (FPE)" },   { SIGKILL, " (KILL)" },
        { SIGUSR1, " (USR1)" }, { SIGSEGV, " (SEGV)" }, { SIGUSR2, " (USR2)" },
        { SIGPIPE, " (PIPE)" }, { SIGALRM, " (ALRM)" }, { SIGTERM, " (TERM)" },
        { SIGXCPU, " (XCPU)" }, { SIGXFSZ, " (XFSZ)" }, { SIGSYS, " (SYS)" },
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (names[i].number == number)
            return names[i].name;
    return "";
}

char *pf_child_describe(int status, char *text, size_t size)
{
    if (status != -1 && WIFEXITED(status))
        (void)snprintf(text, size, "ended with status %d",
                       WEXITSTATUS(status));
    else if (status != -1 && WIFSIGNALED(status))
        (void)snprintf(text, size, "was killed by signal %d%s",
                       WTERMSIG(status), signal_name(WTERMSIG(status)));
    else
        (void)snprintf(text, size, "ended in an unknown way");
    return text;
}
