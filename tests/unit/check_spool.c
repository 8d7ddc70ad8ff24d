/* check_spool.c - tests of spool.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include "spool.h"

#include "retry.h" /* pf_random */
#include "unit.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE = PFETCH_SPOOL_PIECE_BYTES, NO_LIMIT = 1 << 30 };

static struct pf_spool spool;

/* What a body has at a place. */
static unsigned char byte_at(unsigned id, int64_t at)
{
    uint64_t x = (uint64_t)at * UINT64_C(0x9e3779b97f4a7c15) + id * 77;

    return (unsigned char)(x >> 40);
}

static void append(struct pf_spooled *body, unsigned id, size_t size)
{
    unsigned char *data = malloc(size);
    int64_t at = body->offset + body->size;
    struct pfetch_failure why;

    ck_assert_ptr_nonnull(data);
    for (size_t i = 0; i < size; i++)
        data[i] = byte_at(id, at + (int64_t)i);
    ck_assert_int_eq(pf_spool_append(&spool, body, data, size, &why), 0);
    free(data);
    ck_assert_uint_le(spool.memory_bytes, spool.limit_bytes);
}

/* Takes all of it, and looks at each byte.  The number of pieces. */
static unsigned take_all(struct pf_spooled *body, unsigned id)
{
    int64_t at = body->offset, end = body->offset + body->size;
    struct pfetch_failure why;
    const void *data;
    unsigned pieces = 0;
    size_t size;

    for (;;) {
        ck_assert_int_eq(pf_spool_take(&spool, body, &data, &size, &why), 0);
        if (size == 0)
            break;
        for (size_t i = 0; i < size; i++)
            if (((const unsigned char *)data)[i]
                != byte_at(id, at + (int64_t)i))
                ck_abort_msg("a wrong byte at %" PRId64, at + (int64_t)i);
        at += (int64_t)size;
        pieces++;
        ck_assert(size == PIECE || at == end);
    }
    ck_assert_int_eq(at, end);
    pf_spool_drop(&spool, body);
    return pieces;
}

static void check_empty(void)
{
    ck_assert_uint_eq(spool.memory_bytes, 0);
    ck_assert_uint_eq(spool.used_slots, 0);
    if (spool.fd >= 0) {
        struct stat st;

        ck_assert_int_eq(fstat(spool.fd, &st), 0);
        ck_assert_int_eq(st.st_size, 0);
        ck_assert_uint_eq(st.st_nlink, 0);
    }
    pf_spool_fini(&spool);
}

static const size_t limits[] = { 0, 5000, 3 * PIECE, NO_LIMIT };
enum { LIMITS = sizeof(limits) / sizeof(limits[0]) };

START_TEST(test_a_body_comes_back)
{
    static const size_t sizes[] = { 1, 4095, 4097, PIECE - 1, PIECE,
                                    PIECE + 1, 5 * PIECE + 12345 };
    static const size_t steps[] = { 1000, 16384, PIECE, 2 * PIECE + 7 };

    pf_spool_init(&spool, limits[_i], "/tmp");
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
        for (size_t k = 0; k < sizeof(steps) / sizeof(steps[0]); k++) {
            struct pf_spooled body = { .first = NULL };
            size_t left = sizes[s];

            pf_spool_begin(&spool, &body, 0, k % 2 == 0 ? (int64_t)left : -1);
            while (left > 0) {
                size_t n = left < steps[k] ? left : steps[k];

                append(&body, (unsigned)s, n);
                left -= n;
            }
            ck_assert_int_eq(body.size, (int64_t)sizes[s]);
            ck_assert_uint_eq(take_all(&body, (unsigned)s),
                              (sizes[s] + PIECE - 1) / PIECE);
        }
    check_empty();
}
END_TEST

/* What was announced is allocated at once, and not more. */
START_TEST(test_memory_fits_what_is_announced)
{
    struct pf_spooled body = { .first = NULL };

    pf_spool_init(&spool, NO_LIMIT, "/tmp");
    pf_spool_begin(&spool, &body, 0, 100000);
    append(&body, 1, 10);
    ck_assert_uint_eq(spool.memory_bytes, 100000);
    append(&body, 1, 99990);
    ck_assert_uint_eq(spool.memory_bytes, 100000);
    append(&body, 1, 10); /* more than was announced */
    ck_assert_uint_gt(spool.memory_bytes, 100000);
    (void)take_all(&body, 1);
    pf_spool_begin(&spool, &body, 0, INT64_MAX); /* a lie */
    append(&body, 1, 10);
    ck_assert_uint_eq(spool.memory_bytes, PIECE);
    pf_spool_drop(&spool, &body);
    check_empty();
}
END_TEST

/* A continuation cuts, a new beginning drops, the rest of plan()'s part
 * begins in the middle. */
START_TEST(test_begin_anew)
{
    static const int64_t cuts[] = { 1, 1000, PIECE - 1, PIECE, PIECE + 1,
                                    2 * PIECE, 3 * PIECE - 5, 3 * PIECE };

    pf_spool_init(&spool, limits[_i], "/tmp");
    for (size_t c = 0; c < sizeof(cuts) / sizeof(cuts[0]); c++) {
        struct pf_spooled body = { .first = NULL };

        pf_spool_begin(&spool, &body, 0, -1);
        append(&body, 1, 3 * PIECE);
        pf_spool_begin(&spool, &body, cuts[c], -1);
        ck_assert_int_eq(body.size, cuts[c]);
        append(&body, 1, 2 * PIECE + 3);
        (void)take_all(&body, 1);
        ck_assert_int_eq(body.size, 0);

        append(&body, 1, 100);
        pf_spool_begin(&spool, &body, 0, -1);
        ck_assert_int_eq(body.size, 0);
        ck_assert_uint_eq(spool.memory_bytes, 0);
        append(&body, 2, 50);
        (void)take_all(&body, 2);

        pf_spool_begin(&spool, &body, 7000, -1);
        append(&body, 3, 500);
        pf_spool_begin(&spool, &body, 7200, -1);
        append(&body, 3, 500);
        ck_assert_int_eq(body.offset, 7000);
        ck_assert_int_eq(body.size, 700);
        (void)take_all(&body, 3);

        pf_spool_begin(&spool, &body, 7000, -1);
        append(&body, 3, 500);
        pf_spool_begin(&spool, &body, 0, -1);
        ck_assert_int_eq(body.offset, 0);
        append(&body, 3, 20);
        (void)take_all(&body, 3);
    }
    check_empty();
}
END_TEST

/* Many bodies at once, by chance: slots are used again, bytes stay apart. */
START_TEST(test_many_bodies)
{
    enum { BODIES = 20, STEPS = 4000 };
    struct pf_spooled bodies[BODIES] = { { .first = NULL } };
    uint64_t random = 4711;

    pf_spool_init(&spool, 2 * PIECE, "/tmp");
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned id = (unsigned)(pf_random(&random) % BODIES);
        struct pf_spooled *body = &bodies[id];
        uint64_t what = pf_random(&random) % 20;

        if (what == 0)
            (void)take_all(body, id);
        else if (what == 1)
            pf_spool_drop(&spool, body);
        else if (what == 2)
            pf_spool_begin(&spool, body,
                           (int64_t)(pf_random(&random)
                                     % (uint64_t)(body->size + 1)), -1);
        else
            append(body, id, (size_t)(pf_random(&random) % 50000));
    }
    ck_assert_int_ge(spool.fd, 0);
    /* The file is no longer than what was there at the same time. */
    ck_assert_uint_lt(spool.slots, BODIES * 20);
    for (unsigned id = 0; id < BODIES; id++)
        (void)take_all(&bodies[id], id);
    check_empty();
}
END_TEST

START_TEST(test_nothing_has_a_name)
{
    char dir[] = "/tmp/pfetch-spool-XXXXXX";
    struct pf_spooled body = { .first = NULL };

    ck_assert_ptr_nonnull(mkdtemp(dir));
    pf_spool_init(&spool, 0, dir);
    append(&body, 1, 10);
    ck_assert_int_ge(spool.fd, 0);
    ck_assert(fcntl(spool.fd, F_GETFD) & FD_CLOEXEC);
    ck_assert_int_eq(rmdir(dir), 0); /* it is empty */
    (void)take_all(&body, 1);
    check_empty();
}
END_TEST

START_TEST(test_a_directory_that_is_not_there)
{
    static unsigned char data[6001];
    struct pf_spooled body = { .first = NULL };
    struct pfetch_failure why = { .cls = PFETCH_CLASS_NONE };

    pf_spool_init(&spool, 10000, "/nonexistent/dir");
    append(&body, 1, 4000); /* memory needs none */
    ck_assert_int_eq(pf_spool_append(&spool, &body, data, sizeof(data), &why),
                     PFETCH_EINVAL);
    ck_assert_int_eq(why.cls, PFETCH_CLASS_LOCAL);
    ck_assert_ptr_nonnull(strstr(why.text, "/nonexistent/dir"));
    pf_spool_drop(&spool, &body);
    check_empty();
}
END_TEST

/* A file that cannot grow: local, and no slot or memory is lost. */
START_TEST(test_a_full_disk)
{
    static unsigned char data[PIECE];
    struct rlimit limit = { .rlim_cur = PIECE + 5000, .rlim_max = PIECE
                                                                  + 5000 };
    struct pf_spooled first = { .first = NULL }, second = { .first = NULL };
    struct pfetch_failure why = { .cls = PFETCH_CLASS_NONE };

    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    (void)signal(SIGXFSZ, SIG_IGN);
    pf_spool_init(&spool, 0, "/tmp");
    append(&first, 1, PIECE);
    ck_assert_int_eq(pf_spool_append(&spool, &second, data, 6000, &why),
                     PFETCH_EINVAL);
    ck_assert_int_eq(why.cls, PFETCH_CLASS_LOCAL);
    pf_spool_drop(&spool, &second);
    (void)take_all(&first, 1);
    check_empty();
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("spool");

    tcase_add_loop_test(tests, test_a_body_comes_back, 0, LIMITS);
    tcase_add_test(tests, test_memory_fits_what_is_announced);
    tcase_add_loop_test(tests, test_begin_anew, 0, LIMITS);
    tcase_add_test(tests, test_many_bodies);
    tcase_add_test(tests, test_nothing_has_a_name);
    tcase_add_test(tests, test_a_directory_that_is_not_there);
    tcase_add_test(tests, test_a_full_disk);
    return unit_run(tests, "spool");
}
