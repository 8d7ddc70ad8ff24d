/* check_nametable.c - the names of a run, and what they cost.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include <check.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "nametable.h"
#include "suite.h"

enum {
    LINES = 1000000,
    FIXED_BYTES = 16 * 1024, /* beside what the lines cost */
    LINE_BYTES = 32
};

static struct pf_nametable *table;

static void set_up(void)
{
    table = pf_nametable_create();
    ck_assert_ptr_nonnull(table);
}

static void tear_down(void)
{
    pf_nametable_free(table);
}

/* A well-mixed stand-in for the hash of text number i (splitmix64). */
static uint64_t key_of(enum pf_space space, uint64_t i)
{
    uint8_t hash[8];
    uint64_t z = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    memcpy(hash, &z, sizeof hash);
    return pf_nametable_key(space, hash);
}

START_TEST(test_get_and_put)
{
    uint64_t key = key_of(PF_SPACE_URL, 1);

    ck_assert_uint_eq(pf_nametable_get(table, key), 0);
    ck_assert_int_eq(pf_nametable_put(table, key, 7), 0);
    ck_assert_uint_eq(pf_nametable_get(table, key), 7);
    ck_assert_int_eq(pf_nametable_put(table, key, UINT32_MAX), 0);
    ck_assert_uint_eq(pf_nametable_get(table, key), UINT32_MAX);
    ck_assert_uint_eq(pf_nametable_get(table, key_of(PF_SPACE_URL, 2)), 0);
    ck_assert_uint_eq(pf_nametable_get(table, key_of(PF_SPACE_OWN, 1)), 0);
}
END_TEST

START_TEST(test_no_key_is_0)
{
    static const enum pf_space spaces[] = { PF_SPACE_NAME, PF_SPACE_URL,
                                            PF_SPACE_DIR, PF_SPACE_OWN };

    for (size_t i = 0; i < sizeof spaces / sizeof spaces[0]; i++) {
        uint8_t zero[8] = { 0 };
        uint8_t hash[8];
        uint64_t base = pf_nametable_key(spaces[i], zero);

        /* The hash that the mixing of the space would turn into 0. */
        memcpy(hash, &base, sizeof hash);
        ck_assert_uint_ne(pf_nametable_key(spaces[i], hash), 0);
    }
}
END_TEST

START_TEST(test_a_name_is_claimed_once)
{
    uint64_t name = key_of(PF_SPACE_NAME, 1);
    uint32_t next;

    ck_assert(!pf_nametable_taken(table, name, &next));
    ck_assert_uint_eq(next, 0);
    ck_assert_int_eq(pf_nametable_claim(table, name), 1);
    ck_assert_int_eq(pf_nametable_claim(table, name), 0);
    ck_assert(pf_nametable_taken(table, name, &next));
    ck_assert_uint_eq(next, 0);
}
END_TEST

START_TEST(test_next_number_and_claim_are_apart)
{
    uint64_t name = key_of(PF_SPACE_NAME, 1);
    uint32_t next;

    ck_assert_int_eq(pf_nametable_set_next(table, name, 5, false), 0);
    ck_assert(!pf_nametable_taken(table, name, &next));
    ck_assert_uint_eq(next, 0);
    ck_assert_int_eq(pf_nametable_set_next(table, name, 5, true), 0);
    ck_assert(!pf_nametable_taken(table, name, &next));
    ck_assert_uint_eq(next, 5);
    ck_assert_int_eq(pf_nametable_claim(table, name), 1);
    ck_assert_int_eq(pf_nametable_set_next(table, name, 6, false), 0);
    ck_assert(pf_nametable_taken(table, name, &next));
    ck_assert_uint_eq(next, 6);
}
END_TEST

/* Whether the two keys of a line, its name and its URL, are as they should.
 * No ck_assert for each: it would be most of the time of the test. */
static bool add_line(uint64_t i)
{
    return pf_nametable_claim(table, key_of(PF_SPACE_NAME, 2 * i)) == 1
           && pf_nametable_put(table, key_of(PF_SPACE_URL, 2 * i + 1),
                               (uint32_t)i + 1) == 0;
}

static bool find_line(uint64_t i)
{
    return pf_nametable_taken(table, key_of(PF_SPACE_NAME, 2 * i), NULL)
           && pf_nametable_get(table, key_of(PF_SPACE_URL, 2 * i + 1)) == i + 1
           && pf_nametable_get(table, key_of(PF_SPACE_URL, 2 * i)) == 0;
}

START_TEST(test_a_million_lines)
{
    for (uint64_t i = 0; i < LINES; i++) {
        if (!add_line(i))
            ck_abort_msg("line %llu was not added", (unsigned long long)i);
        size_t bytes = pf_nametable_bytes(table);
        if (bytes > FIXED_BYTES + LINE_BYTES * (i + 1))
            ck_abort_msg("%zu bytes for %llu lines", bytes,
                         (unsigned long long)i + 1);
    }
    /* Counted at all: the keys alone take so much. */
    ck_assert_uint_ge(pf_nametable_bytes(table), 2 * 12 * (size_t)LINES);
    for (uint64_t i = 0; i < LINES; i++)
        if (!find_line(i))
            ck_abort_msg("line %llu was lost", (unsigned long long)i);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("nametable");
    TCase *few = tcase_create("few");
    TCase *many = tcase_create("many");

    tcase_add_checked_fixture(few, set_up, tear_down);
    tcase_add_checked_fixture(many, set_up, tear_down);
    tcase_add_test(few, test_get_and_put);
    tcase_add_test(few, test_no_key_is_0);
    tcase_add_test(few, test_a_name_is_claimed_once);
    tcase_add_test(few, test_next_number_and_claim_are_apart);
    tcase_add_test(many, test_a_million_lines);
    tcase_set_timeout(many, 120); /* under a sanitizer or valgrind */
    suite_add_tcase(suite, few);
    suite_add_tcase(suite, many);

    return suite_run(suite);
}
