/* check_checksum.c - tests of checksum.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include "checksum.h"

#include "unit.h"

#include <string.h>

static struct pf_checksum_methods methods;
static struct pf_stop stop;

static void set_up(void)
{
    pf_checksum_methods_init(&methods);
    pf_stop_init(&stop);
}

static void tear_down(void)
{
    pf_checksum_methods_fini(&methods);
}

static struct pf_checksum *create(const char *text)
{
    struct pf_checksum *c;

    ck_assert(pf_checksum_can(&methods, text));
    c = pf_checksum_create(&methods, text, &stop);
    ck_assert_ptr_nonnull(c);
    ck_assert_str_eq(c->text, "");
    return c;
}

static void expect(struct pf_checksum *c, const char *text)
{
    ck_assert_int_eq(pf_checksum_finish(c), 0);
    ck_assert_str_eq(c->text, text);
}

/* By coreutils. */
START_TEST(known_digests)
{
    static const struct {
        const char *body, *checksum;
    } rows[] = {
        { "",
          "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca4959"
          "91b7852b855" },
        { "",
          "sha512:cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a"
          "921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a"
          "538327af927da3e" },
        { "",
          "sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709" },
        { "",
          "md5:d41d8cd98f00b204e9800998ecf8427e" },
        { "abc",
          "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410f"
          "f61f20015ad" },
        { "abc",
          "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9ee"
          "ee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2"
          "a9ac94fa54ca49f" },
        { "abc",
          "sha1:a9993e364706816aba3e25717850c26c9cd0d89d" },
        { "abc",
          "md5:900150983cd24fb0d6963f7d28e17f72" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pf_checksum *c = create(rows[i].checksum);

        ck_assert(pfetch_checksum_check(rows[i].checksum));
        pf_checksum_begin(c, 0);
        for (const char *at = rows[i].body; *at != '\0'; at++)
            pf_checksum_update(c, at, 1);
        expect(c, rows[i].checksum);
        pf_checksum_free(c);
    }
}
END_TEST

#define MD5_ABC "md5:900150983cd24fb0d6963f7d28e17f72"

START_TEST(goes_on_where_it_was)
{
    struct pf_checksum *c = create("md5");

    pf_checksum_update(c, "a", 1);
    pf_checksum_begin(c, 1);
    pf_checksum_update(c, "bc", 2);
    ck_assert_int_eq(c->bytes, 3);
    expect(c, MD5_ABC);
    pf_checksum_free(c);
}
END_TEST

START_TEST(begins_anew)
{
    struct pf_checksum *c = create("md5");

    pf_checksum_update(c, "what was wrong", 14);
    pf_checksum_begin(c, 0);
    pf_checksum_update(c, "abc", 3);
    expect(c, MD5_ABC);
    /* after the end, too */
    pf_checksum_begin(c, 0);
    ck_assert_str_eq(c->text, "");
    pf_checksum_update(c, "abc", 3);
    expect(c, MD5_ABC);
    pf_checksum_free(c);
}
END_TEST

/* Bytes that nobody has seen are not left out. */
START_TEST(no_hole)
{
    static const int64_t offsets[] = { 2, 4, 100 };

    for (size_t i = 0; i < 3; i++) {
        struct pf_checksum *c = create("sha256");

        pf_checksum_update(c, "abc", 3);
        pf_checksum_begin(c, offsets[i]);
        pf_checksum_update(c, "d", 1);
        ck_assert_int_eq(pf_checksum_finish(c), PFETCH_ENOMEM);
        ck_assert_str_eq(c->text, "");
        pf_checksum_begin(c, 4);
        ck_assert_int_eq(pf_checksum_finish(c), PFETCH_ENOMEM);
        pf_checksum_free(c);
    }
}
END_TEST

START_TEST(forms)
{
    static const char *const bad[] = {
        "", ":", "md5", "md5:", "sha3:00", "MD5:900150983cd24fb0d6963f7d28e17f72",
        "md5:900150983cd24fb0d6963f7d28e17f7", "md5 900150983cd24fb0d6963f7d28",
        "md5:900150983cd24fb0d6963f7d28e17f722",
        "md5:900150983cd24fb0d6963f7d28e17f7g",
        "md5x:900150983cd24fb0d6963f7d28e17f72",
        "sha1:900150983cd24fb0d6963f7d28e17f72",
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(!pfetch_checksum_check(bad[i]), "%s", bad[i]);
    ck_assert(pfetch_checksum_check("md5:900150983CD24FB0d6963f7d28e17f72"));
    ck_assert(pfetch_checksum_is_algo("sha512"));
    ck_assert(!pfetch_checksum_is_algo("sha512:"));
    ck_assert(!pfetch_checksum_is_algo("sha51"));
    ck_assert(!pfetch_checksum_is_algo("sha5122"));
    ck_assert(!pfetch_checksum_is_algo(""));
    ck_assert(!pf_checksum_can(&methods, "crc32"));
}
END_TEST

/* What resume() reads may be long: a stop ends it. */
START_TEST(stop_ends_reading)
{
    struct pfetch_job *job = unit_job("http://h/", 1);

    ck_assert(!pfetch_job_has_digest(job));
    ck_assert_int_eq(pfetch_job_digest(job, "abc", 3), 0);
    job->checksum = create("md5");
    ck_assert(pfetch_job_has_digest(job));
    ck_assert_int_eq(pfetch_job_digest(job, "abc", 3), 0);
    pf_stop_abort_at(&stop, pf_now_ms());
    ck_assert_int_eq(pfetch_job_digest(job, "d", 1), PFETCH_ESTOPPED);
    expect(job->checksum, MD5_ABC);
    pf_job_free(job);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("checksum");

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, known_digests);
    tcase_add_test(tests, goes_on_where_it_was);
    tcase_add_test(tests, begins_anew);
    tcase_add_test(tests, no_hole);
    tcase_add_test(tests, forms);
    tcase_add_test(tests, stop_ends_reading);
    return unit_run(tests, "checksum");
}
