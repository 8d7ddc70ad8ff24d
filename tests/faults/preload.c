/*
 * preload.c - stands between the program and the C library, by LD_PRELOAD.
 *
 * What it does is said by the environment; with none of it set it only passes
 * calls on.
 *
 *   FAULTS_REPORT=FILE   at the end of the process writes one line there:
 *                        descriptors at the start, at the end, threads at the
 *                        end, the peak of memory in KiB, the number of
 *                        allocations that FAULTS_OBJECTS chooses, that of
 *                        calls that FAULTS_CALL names
 *   FAULTS_MALLOC=K      the K-th such allocation (from 1) fails
 *   FAULTS_OBJECTS=A:B   allocations are chosen by who asks: the program
 *                        itself, and the libraries with one of these texts in
 *                        their names (default: libpfetch)
 *   FAULTS_CALL=NAME     the call of that name (see below; "openat-unnamed" is
 *                        openat with O_TMPFILE) fails, if the chosen ones make
 *                        it, at the time that
 *   FAULTS_AT=K          says, from 1 (0: each time), with
 *   FAULTS_ERRNO=N       this errno; close() closes nevertheless
 *   FAULTS_WRITE=short   a write() to a regular file writes one byte
 *   FAULTS_WRITE=MS      each such write() takes so long
 *   FAULTS_FORCED=FILE   what a loss of power now would leave is appended there:
 *                        for an fsync() of a file "file INODE SIZE", for one
 *                        of a directory "begin INODE", a line "name INODE
 *                        NAME" for each of its entries, and "end INODE"
 *   FAULTS_THREADS=K     the K-th thread that the chosen ones start, and all
 *                        that follow, cannot be started; with -K only that
 *   FAULTS_DNS=PORT      names that end in .dns.test are answered here, by
 *                        their first label:
 *                          none    no such name
 *                          again   a failure that may pass
 *                          againN  the same, N times, then 127.0.0.1
 *                          many    10,000 addresses, the last is 127.0.0.1
 *                          dead6   ::1, where nobody listens, and 127.0.0.1
 *                          dead    ::1 only
 *                          slow    an answer that never comes
 *                        else 127.0.0.1
 *
 * SPDX-License-Identifier: MIT
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <arpa/inet.h>
#include <curl/curl.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);

/* Where the code of those lies whose calls count. */
enum { RANGES = 16 };
static struct {
    uintptr_t start, end;
} ranges[RANGES];
static int range_count;
static atomic_bool ready; /* ranges and settings are set */

static long fail_malloc, fail_thread, write_ms, fail_at, fail_errno;
static const char *fail_call;
static atomic_long calls;
static bool write_short;
static const char *report;
static int fds_at_start;
static atomic_long mallocs, threads;

/* --- who calls -------------------------------------------------------------- */

static bool is_chosen(const char *name)
{
    char list[256];
    const char *objects = getenv("FAULTS_OBJECTS");
    char *rest = list;

    if (*name == '\0')
        return true; /* the program */
    (void)snprintf(list, sizeof list, "%s",
                   objects != NULL ? objects : "libpfetch");
    for (char *word; (word = strsep(&rest, ":")) != NULL;)
        if (*word != '\0' && strstr(name, word) != NULL)
            return true;
    return false;
}

static int add_ranges(struct dl_phdr_info *info, size_t size, void *data)
{
    (void)size;
    (void)data;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];

        if (part->p_type != PT_LOAD || !(part->p_flags & PF_X)
            || range_count == RANGES || !is_chosen(info->dlpi_name))
            continue;
        ranges[range_count].start = info->dlpi_addr + part->p_vaddr;
        ranges[range_count].end =
            info->dlpi_addr + part->p_vaddr + part->p_memsz;
        range_count++;
    }
    return 0;
}

static bool is_ours(const void *caller)
{
    uintptr_t at = (uintptr_t)caller;

    if (!atomic_load(&ready))
        return false;
    for (int i = 0; i < range_count; i++)
        if (at >= ranges[i].start && at < ranges[i].end)
            return true;
    return false;
}

/* --- start and end ---------------------------------------------------------- */

static int count_entries(const char *directory)
{
    DIR *dir = opendir(directory);
    int count = 0;

    if (dir == NULL)
        return -1;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

static long number(const char *name)
{
    const char *value = getenv(name);

    return value != NULL ? strtol(value, NULL, 10) : 0;
}

__attribute__((constructor)) static void begin(void)
{
    const char *how = getenv("FAULTS_WRITE");

    report = getenv("FAULTS_REPORT");
    fail_call = getenv("FAULTS_CALL");
    fail_at = number("FAULTS_AT");
    fail_errno = number("FAULTS_ERRNO");
    fail_malloc = number("FAULTS_MALLOC");
    fail_thread = number("FAULTS_THREADS");
    write_short = how != NULL && strcmp(how, "short") == 0;
    write_ms = number("FAULTS_WRITE");
    fds_at_start = count_entries("/proc/self/fd");
    (void)dl_iterate_phdr(add_ranges, NULL);
    atomic_store(&ready, true);
}

static long peak_kib(void)
{
    char text[4096];
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    const char *found = NULL;

    if (fd >= 0)
        close(fd);
    if (n > 0) {
        text[n] = '\0';
        found = strstr(text, "VmHWM:");
    }
    return found != NULL ? strtol(found + 6, NULL, 10) : -1;
}

__attribute__((destructor)) static void end(void)
{
    char line[128];

    if (report == NULL)
        return;
    atomic_store(&ready, false);
    int fds = count_entries("/proc/self/fd");
    int len = snprintf(line, sizeof line, "%d %d %d %ld %ld %ld\n", fds_at_start,
                       fds, count_entries("/proc/self/task"), peak_kib(),
                       atomic_load(&mallocs), atomic_load(&calls));
    int fd = open(report, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd >= 0) {
        ssize_t written = write(fd, line, (size_t)len);
        (void)written; /* whoever looks finds no line then */
        close(fd);
    }
}

/* --- memory ----------------------------------------------------------------- */

static bool fails(const void *caller)
{
    if (!is_ours(caller))
        return false;
    if (atomic_fetch_add(&mallocs, 1) + 1 != fail_malloc)
        return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL
                                              : __libc_realloc(old, size);
}

char *strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = fails(__builtin_return_address(0)) ? NULL
                                                    : __libc_malloc(size);

    return copy != NULL ? memcpy(copy, text, size) : NULL;
}

char *strndup(const char *text, size_t max)
{
    size_t len = strnlen(text, max);
    char *copy = fails(__builtin_return_address(0)) ? NULL
                                                    : __libc_malloc(len + 1);

    if (copy == NULL)
        return NULL;
    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

/* --- files and threads ------------------------------------------------------ */

static void pause_ms(long ms)
{
    struct timespec left = {.tv_sec = ms / 1000,
                            .tv_nsec = ms % 1000 * 1000000};

    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
}

/* Whether the call is to fail; then errno is set. */
static bool breaks(const char *name, const void *caller)
{
    if (fail_call == NULL || strcmp(name, fail_call) != 0 || !is_ours(caller)
        || (atomic_fetch_add(&calls, 1) + 1 != fail_at && fail_at != 0))
        return false;
    errno = (int)fail_errno;
    return true;
}

#define CALLER __builtin_return_address(0)

/* A function that fails or is passed on; those for large files have a second
 * name. */
#define WRAP_AS(result, name, symbol, parameters, arguments, failure) \
    result symbol parameters                                          \
    {                                                                 \
        static result(*real) parameters;                              \
                                                                      \
        if (real == NULL)                                             \
            real = (result(*) parameters)dlsym(RTLD_NEXT, #symbol);   \
        if (breaks(#name, CALLER))                                    \
            return failure;                                           \
        return real arguments;                                        \
    }
#define WRAP(result, name, parameters, arguments, failure) \
    WRAP_AS(result, name, name, parameters, arguments, failure)

/* The mode is passed on whether or not there is one, as the C library does. */
#define WRAP_OPEN(symbol)                                         \
    int symbol(const char *path, int flags, ...)                  \
    {                                                             \
        static int (*real)(const char *, int, ...);               \
        va_list more;                                             \
                                                                  \
        if (real == NULL)                                         \
            real = (int (*)(const char *, int, ...))dlsym(        \
                RTLD_NEXT, #symbol);                              \
        if (breaks("open", CALLER))                               \
            return -1;                                            \
        va_start(more, flags);                                    \
        mode_t mode = va_arg(more, mode_t);                       \
        va_end(more);                                             \
        return real(path, flags, mode);                           \
    }
#define WRAP_OPENAT(symbol)                                       \
    int symbol(int at, const char *path, int flags, ...)          \
    {                                                             \
        static int (*real)(int, const char *, int, ...);          \
        va_list more;                                             \
                                                                  \
        if (real == NULL)                                         \
            real = (int (*)(int, const char *, int, ...))dlsym(   \
                RTLD_NEXT, #symbol);                              \
        if (breaks((flags & O_TMPFILE) == O_TMPFILE               \
                       ? "openat-unnamed" : "openat", CALLER))    \
            return -1;                                            \
        va_start(more, flags);                                    \
        mode_t mode = va_arg(more, mode_t);                       \
        va_end(more);                                             \
        return real(at, path, flags, mode);                       \
    }
#define WRAP_FCNTL(symbol)                                        \
    int symbol(int fd, int command, ...)                          \
    {                                                             \
        static int (*real)(int, int, ...);                        \
        va_list more;                                             \
                                                                  \
        if (real == NULL)                                         \
            real = (int (*)(int, int, ...))dlsym(RTLD_NEXT,       \
                                                 #symbol);        \
        if (breaks("fcntl", CALLER))                              \
            return -1;                                            \
        va_start(more, command);                                  \
        void *argument = va_arg(more, void *);                    \
        va_end(more);                                             \
        return real(fd, command, argument);                       \
    }

WRAP_OPEN(open)
WRAP_OPEN(open64)
WRAP_OPENAT(openat)
WRAP_OPENAT(openat64)
WRAP_FCNTL(fcntl)
WRAP_FCNTL(fcntl64)
WRAP(ssize_t, read, (int fd, void *data, size_t size), (fd, data, size), -1)
WRAP(int, mkdir, (const char *path, mode_t mode), (path, mode), -1)
WRAP(int, renameat2,
     (int from, const char *old, int to, const char *new, unsigned flags),
     (from, old, to, new, flags), -1)
WRAP(int, linkat,
     (int from, const char *old, int to, const char *new, int flags),
     (from, old, to, new, flags), -1)
WRAP(int, fsetxattr,
     (int fd, const char *name, const void *value, size_t size, int flags),
     (fd, name, value, size, flags), -1)
WRAP(ssize_t, lgetxattr,
     (const char *path, const char *name, void *value, size_t size),
     (path, name, value, size), -1)
WRAP(int, futimens, (int fd, const struct timespec times[2]), (fd, times), -1)
WRAP(int, unlinkat, (int at, const char *path, int flags), (at, path, flags),
     -1)
WRAP(int, fdatasync, (int fd), (fd), -1)
WRAP(int, sync_file_range, (int fd, off_t at, off_t size, unsigned flags),
     (fd, at, size, flags), -1)
WRAP(int, pipe2, (int fds[2], int flags), (fds, flags), -1)
WRAP(int, ftruncate, (int fd, off_t size), (fd, size), -1)
WRAP_AS(int, ftruncate, ftruncate64, (int fd, off64_t size), (fd, size), -1)
WRAP_AS(off64_t, lseek, lseek64, (int fd, off64_t to, int how), (fd, to, how),
        -1)
WRAP(int, fstat, (int fd, struct stat *st), (fd, st), -1)
WRAP_AS(int, fstat, fstat64, (int fd, struct stat64 *st), (fd, st), -1)
WRAP(int, fstatat,
     (int at, const char *path, struct stat *st, int flags),
     (at, path, st, flags), -1)
WRAP_AS(int, fstatat, fstatat64,
        (int at, const char *path, struct stat64 *st, int flags),
        (at, path, st, flags), -1)
WRAP(CURLSH *, curl_share_init, (void), (), NULL)
WRAP(CURL *, curl_easy_init, (void), (), NULL)

int close(int fd)
{
    static int (*real)(int);

    if (real == NULL)
        real = (int (*)(int))dlsym(RTLD_NEXT, "close");
    int result = real(fd);
    return breaks("close", CALLER) ? -1 : result;
}

/* What is on stable storage now; one fsync() after another. */
static void note_forced(int fd)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    const char *name = getenv("FAULTS_FORCED");
    struct stat st;
    FILE *file;

    if (name == NULL || fstat(fd, &st) != 0)
        return;
    (void)pthread_mutex_lock(&lock);
    if ((file = fopen(name, "ae")) == NULL)
        abort();
    if (!S_ISDIR(st.st_mode)) {
        fprintf(file, "file %ju %jd\n", (uintmax_t)st.st_ino,
                (intmax_t)st.st_size);
    } else {
        char path[64];

        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        DIR *dir = opendir(path);
        if (dir == NULL)
            abort();
        fprintf(file, "begin %ju\n", (uintmax_t)st.st_ino);
        for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
            fprintf(file, "name %ju %s\n", (uintmax_t)entry->d_ino,
                    entry->d_name);
        fprintf(file, "end %ju\n", (uintmax_t)st.st_ino);
        closedir(dir);
    }
    if (fclose(file) != 0)
        abort();
    (void)pthread_mutex_unlock(&lock);
}

int fsync(int fd)
{
    static int (*real)(int);

    if (real == NULL)
        real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    if (breaks("fsync", CALLER))
        return -1;
    int result = real(fd);
    if (result == 0)
        note_forced(fd);
    return result;
}

ssize_t write(int fd, const void *data, size_t size)
{
    static ssize_t (*real)(int, const void *, size_t);
    struct stat st;

    if (real == NULL)
        real = (ssize_t (*)(int, const void *, size_t))dlsym(RTLD_NEXT,
                                                             "write");
    if (breaks("write", CALLER))
        return -1;
    if ((write_short || write_ms > 0)
        && is_ours(__builtin_return_address(0)) && fstat(fd, &st) == 0
        && S_ISREG(st.st_mode)) {
        if (write_short && size > 1)
            size = 1;
        pause_ms(write_ms);
    }
    return real(fd, data, size);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attr,
                   void *(*run)(void *), void *arg)
{
    static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *),
                       void *);

    if (real == NULL)
        real = (int (*)(pthread_t *, const pthread_attr_t *,
                        void *(*)(void *), void *))dlsym(RTLD_NEXT,
                                                         "pthread_create");
    if (is_ours(__builtin_return_address(0)) && fail_thread != 0) {
        long n = atomic_fetch_add(&threads, 1) + 1;

        if (n == -fail_thread || (fail_thread > 0 && n >= fail_thread))
            return EAGAIN;
    }
    return real(thread, attr, run, arg);
}

/* --- names ------------------------------------------------------------------ */

/* One address in front of a list, as freeaddrinfo() expects it: in one piece.
 * The port is that of the service, a number. */
static struct addrinfo *add_address(struct addrinfo *next, const char *text,
                                    const char *service, int type)
{
    union {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } address;
    struct addrinfo *info;
    uint16_t port =
        htons((uint16_t)(service != NULL ? strtol(service, NULL, 10) : 0));
    size_t size;

    memset(&address, 0, sizeof address);
    if (strchr(text, ':') != NULL) {
        size = sizeof address.in6;
        address.in6.sin6_family = AF_INET6;
        address.in6.sin6_port = port;
        inet_pton(AF_INET6, text, &address.in6.sin6_addr);
    } else {
        size = sizeof address.in;
        address.in.sin_family = AF_INET;
        address.in.sin_port = port;
        inet_pton(AF_INET, text, &address.in.sin_addr);
    }
    info = __libc_calloc(1, sizeof *info + sizeof address);
    if (info == NULL)
        abort();
    info->ai_family = address.sa.sa_family;
    info->ai_socktype = type != 0 ? type : SOCK_STREAM;
    info->ai_protocol = IPPROTO_TCP;
    info->ai_addrlen = (socklen_t)size;
    info->ai_addr = (struct sockaddr *)(info + 1);
    memcpy(info->ai_addr, &address, size);
    info->ai_next = next;
    return info;
}

static struct addrinfo *answer(const char *node, const char *service, int type)
{
    struct addrinfo *list = NULL;

    if (strncmp(node, "dead.", 5) == 0)
        return add_address(list, "::1", service, type);
    list = add_address(list, "127.0.0.1", service, type);
    if (strncmp(node, "dead6.", 6) == 0)
        return add_address(list, "::1", service, type);
    if (strncmp(node, "many.", 5) == 0)
        for (int i = 1; i < 10000; i++)
            list = add_address(list, "127.0.0.1", service, type);
    return list;
}

int getaddrinfo(const char *node, const char *service,
                const struct addrinfo *hints, struct addrinfo **found)
{
    static int (*real)(const char *, const char *, const struct addrinfo *,
                       struct addrinfo **);
    static atomic_long failures;
    size_t len = node != NULL ? strlen(node) : 0;

    if (real == NULL)
        real = (int (*)(const char *, const char *, const struct addrinfo *,
                        struct addrinfo **))dlsym(RTLD_NEXT, "getaddrinfo");
    if (getenv("FAULTS_DNS") == NULL || len < 9
        || strcmp(node + len - 9, ".dns.test") != 0)
        return real(node, service, hints, found);
    if (strncmp(node, "none.", 5) == 0)
        return EAI_NONAME;
    if (strncmp(node, "slow.", 5) == 0)
        pause_ms(600000);
    if (strncmp(node, "again", 5) == 0
        && (node[5] == '.'
            || atomic_fetch_add(&failures, 1) < strtol(node + 5, NULL, 10)))
        return EAI_AGAIN;
    *found = answer(node, service, hints != NULL ? hints->ai_socktype : 0);
    return 0;
}
