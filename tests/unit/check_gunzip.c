/* check_gunzip.c - tests of gunzip.c: members, padding, damage, and files cut
 * off anywhere.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include "gunzip.h"

#include "unit.h"

#include <stdio.h>
#include <string.h>

START_TEST(what_gzip_begins_with)
{
    ck_assert(pf_gunzip_is("\x1f\x8b\x08", 3));
    ck_assert(pf_gunzip_is("\x1f\x8b", 2));
    ck_assert(!pf_gunzip_is("\x1f\x8b", 1));
    ck_assert(!pf_gunzip_is("http", 4));
    ck_assert(!pf_gunzip_is("", 0));
}
END_TEST

#ifdef HAVE_ZLIB

#include <zlib.h>

/* A file being made. */
static char packed[4 * 1000 * 1000];
static size_t packed_size;

static void add_bytes(const char *bytes, size_t size)
{
    ck_assert_uint_le(packed_size + size, sizeof(packed));
    memcpy(packed + packed_size, bytes, size);
    packed_size += size;
}

/* One more member. */
static void add_member(const char *text, size_t size)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)text,
                  .avail_in = (uInt)size,
                  .next_out = (Bytef *)packed + packed_size,
                  .avail_out = (uInt)(sizeof(packed) - packed_size)};

    ck_assert_int_eq(deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8,
                                  Z_DEFAULT_STRATEGY), Z_OK);
    ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    packed_size = sizeof(packed) - z.avail_out;
    ck_assert_int_eq(deflateEnd(&z), Z_OK);
}

/* Reads packed[0..size), fed `piece` bytes at a time, `room` at a time, into
 * text.  How it ended; *used: how much came. */
static enum pf_gunzip_result unpack(size_t size, size_t piece, size_t room,
                                    char *text, size_t *used,
                                    const char **why)
{
    struct pf_gunzip *gunzip = pf_gunzip_create(why);
    enum pf_gunzip_result result;
    size_t fed = 0;

    ck_assert_ptr_nonnull(gunzip);
    *used = 0;
    for (;;) {
        size_t got = room;

        result = pf_gunzip_read(gunzip, text + *used, &got, why);
        if (result == PF_GUNZIP_DATA) {
            REQUIRE(got >= 1 && got <= room);
            *used += got;
        } else if (result == PF_GUNZIP_HUNGRY) {
            size_t part = size - fed < piece ? size - fed : piece;

            memcpy(pf_gunzip_room(gunzip), packed + fed, part);
            pf_gunzip_fed(gunzip, part);
            fed += part;
        } else {
            break;
        }
    }
    pf_gunzip_free(gunzip);
    return result;
}

static void expect(const char *text, size_t size)
{
    static const size_t pieces[] = {1, 2, 7, 1000, PF_GUNZIP_BYTES};
    static char got[1000 * 1000 + 1];
    const char *why;
    size_t used;

    for (size_t i = 0; i < 5; i++)
        for (size_t j = i > 2 ? 1 : 3; j < 5; j++) {
            ck_assert_int_eq(unpack(packed_size, pieces[i], pieces[j], got,
                                    &used, &why), PF_GUNZIP_END);
            ck_assert_uint_eq(used, size);
            ck_assert_int_eq(memcmp(got, text, size), 0);
        }
}

START_TEST(members_are_one_text)
{
    packed_size = 0;
    add_member("one\n", 4);
    expect("one\n", 4);
    add_member("", 0);
    add_member("two", 3);
    add_member("", 0);
    expect("one\ntwo", 7);
    add_bytes("\0\0\0\0\0", 5); /* as a tape leaves them */
    expect("one\ntwo", 7);
    add_member("three", 5);
    expect("one\ntwothree", 12);
}
END_TEST

START_TEST(nothing_is_a_text)
{
    packed_size = 0;
    add_member("", 0);
    expect("", 0);
}
END_TEST

/* What does not fit comes with the next call, when the file has ended. */
START_TEST(much_comes_of_little)
{
    static char text[1000 * 1000];

    memset(text, 'x', sizeof(text));
    packed_size = 0;
    add_member(text, sizeof(text));
    ck_assert_uint_lt(packed_size, 2000);
    expect(text, sizeof(text));
}
END_TEST

/* All text that can be known is given out at once: its lines may be waited
 * for. */
START_TEST(nothing_waits_for_more_input)
{
    enum { SIZES = 600 };
    static char text[SIZES], got[SIZES];
    const char *why;
    size_t used;

    memset(text, 'x', sizeof(text));
    for (size_t size = 1; size <= SIZES; size++) {
        packed_size = 0;
        add_member(text, size);
        ck_assert_int_eq(unpack(packed_size - 8, packed_size, 1, got, &used,
                                &why), PF_GUNZIP_FAILED);
        ck_assert_uint_eq(used, size);
    }
}
END_TEST

START_TEST(cut_off_anywhere)
{
    char got[64];
    const char *why;
    size_t used, first;

    packed_size = 0;
    add_member("one\n", 4);
    first = packed_size;
    add_member("two\n", 4);
    for (size_t size = 1; size < packed_size; size++) {
        enum pf_gunzip_result result =
            unpack(size, 3, sizeof(got), got, &used, &why);

        ck_assert_int_eq(result, size == first ? PF_GUNZIP_END
                                               : PF_GUNZIP_FAILED);
        if (size != first)
            ck_assert_ptr_nonnull(strstr(why, "cut off"));
        ck_assert_int_eq(memcmp(got, "one\ntwo\n", used), 0);
    }
}
END_TEST

START_TEST(damage_is_found)
{
    char got[64];
    const char *why;
    size_t used;

    packed_size = 0;
    add_member("one\n", 4);
    for (size_t i = packed_size - 8; i < packed_size; i++) { /* CRC, length */
        packed[i] ^= 1;
        ck_assert_int_eq(unpack(packed_size, 100, sizeof(got), got, &used,
                                &why), PF_GUNZIP_FAILED);
        ck_assert_ptr_nonnull(strstr(why, "damaged"));
        packed[i] ^= 1;
    }
    add_bytes("http://h/\n", 10);
    ck_assert_int_eq(unpack(packed_size, 100, sizeof(got), got, &used, &why),
                     PF_GUNZIP_FAILED);
    ck_assert_ptr_nonnull(strstr(why, "not all gzip"));
    ck_assert_uint_eq(used, 4);
}
END_TEST

#else

START_TEST(it_says_that_it_cannot)
{
    const char *why = "";

    ck_assert_ptr_null(pf_gunzip_create(&why));
    ck_assert_ptr_nonnull(strstr(why, "without zlib"));
}
END_TEST

#endif

int main(void)
{
    TCase *tests = tcase_create("gunzip");

    tcase_add_test(tests, what_gzip_begins_with);
#ifdef HAVE_ZLIB
    tcase_add_test(tests, members_are_one_text);
    tcase_add_test(tests, nothing_is_a_text);
    tcase_add_test(tests, much_comes_of_little);
    tcase_add_test(tests, nothing_waits_for_more_input);
    tcase_add_test(tests, cut_off_anywhere);
    tcase_add_test(tests, damage_is_found);
#else
    tcase_add_test(tests, it_says_that_it_cannot);
#endif
    return unit_run(tests, "gunzip");
}
