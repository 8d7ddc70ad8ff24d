/* check_volume.c - files that grow by whole members, compressed or not.
 *
 * SPDX-License-Identifier: MIT
 *
 * Compressed files are read with the programs of their makers.
 */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "suite.h"
#include "volume.h"

enum { LARGE_BYTES = 700 * 1024, SMALL_BYTES = 300, END_BYTES = 1024 };

static const unsigned char end[END_BYTES];
static char dir[64], name[128];
static struct pf_volume volume;
static enum pf_pack_kind kind;
static char *expected; /* what is to be read from the file, without its end */
static size_t expected_size;

static void set_up(void)
{
    (void)snprintf(dir, sizeof(dir), "/tmp/pfetch-volume.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    (void)snprintf(name, sizeof(name), "%s/v", dir);
    pf_volume_init(&volume);
    expected = NULL;
    expected_size = 0;
}

static void tear_down(void)
{
    pf_volume_remove(&volume);
    (void)unlink(name);
    ck_assert_int_eq(rmdir(dir), 0);
    free(expected);
}

/* Bytes of which every part is another one; hardly to be compressed. */
static char *make_bytes(size_t size, unsigned seed)
{
    char *bytes = malloc(size + 1);
    uint64_t state = seed + 1;

    ck_assert_ptr_nonnull(bytes);
    for (size_t i = 0; i < size; i++) {
        state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
        bytes[i] = (char)(state >> 56);
    }
    return bytes;
}

static void expect(const char *bytes, size_t size)
{
    expected = realloc(expected, expected_size + size + 1);
    ck_assert_ptr_nonnull(expected);
    memcpy(expected + expected_size, bytes, size);
    expected_size += size;
}

static void add(const char *bytes, size_t size)
{
    /* In pieces of all sizes. */
    for (size_t at = 0, n = 1; at < size; at += n, n = n * 3 + 1) {
        if (n > size - at)
            n = size - at;
        ck_assert_int_eq(pf_volume_write(&volume, bytes + at, n), 0);
    }
}

static void add_member(size_t size, unsigned seed)
{
    char *bytes = make_bytes(size, seed);

    add(bytes, size);
    ck_assert_int_eq(pf_volume_commit(&volume), 0);
    expect(bytes, size);
    free(bytes);
}

/* Sets the kind.  False: it was not compiled in, or nobody can read it. */
static bool use(int which)
{
    kind = (enum pf_pack_kind)which;
    return pf_pack_has(kind)
           && (kind != PF_PACK_ZSTD
               || system("zstd -V >/dev/null 2>&1") == 0);
}

static void open_volume(size_t end_size)
{
    ck_assert_int_eq(pf_volume_open(&volume, name, kind, end, end_size), 0);
}

/* What the file holds, unpacked: it must begin with what is expected, and the
 * end; nothing may follow that unless rest is allowed. */
static void assert_file(size_t end_size, bool rest)
{
    static const char *const readers[] = {
        [PF_PACK_PLAIN] = "cat", [PF_PACK_GZIP] = "gzip -dc",
        [PF_PACK_ZSTD] = "zstd -qdc",
    };
    char *found = malloc(expected_size + end_size + 1);
    char command[256];
    size_t size;
    FILE *reader;

    ck_assert_ptr_nonnull(found);
    /* What is behind the end is no stream. */
    (void)snprintf(command, sizeof(command), "%s <%s 2>%s", readers[kind],
                   name, rest ? "/dev/null" : "&1");
    reader = popen(command, "r");
    ck_assert_ptr_nonnull(reader);
    size = fread(found, 1, expected_size + end_size, reader);
    ck_assert_uint_eq(size, expected_size + end_size);
    if (expected_size > 0)
        ck_assert_mem_eq(found, expected, expected_size);
    if (end_size > 0)
        ck_assert_mem_eq(found + expected_size, end, end_size);
    if (!rest)
        ck_assert_int_eq(fgetc(reader), EOF);
    else
        while (fgetc(reader) != EOF)
            ; /* it would fail by a closed pipe */
    if (!rest)
        ck_assert_int_eq(pclose(reader), 0);
    else
        (void)pclose(reader); /* complaints are allowed */
    free(found);
}

START_TEST(test_whole_after_each_commit)
{
    if (!use(_i))
        return;
    open_volume(END_BYTES);
    assert_file(END_BYTES, false);
    for (unsigned i = 0; i < 12; i++) {
        add_member(i % 4 == 3 ? LARGE_BYTES : i * SMALL_BYTES, i);
        assert_file(END_BYTES, false);
    }
    ck_assert_int_eq(pf_volume_close(&volume), 0);
    assert_file(END_BYTES, false);
}
END_TEST

START_TEST(test_whole_while_a_member_is_added)
{
    struct stat before, after;
    char *bytes;

    if (!use(_i))
        return;
    bytes = make_bytes(LARGE_BYTES, 99);
    open_volume(END_BYTES);
    add_member(5000, 1);
    ck_assert_int_eq(stat(name, &before), 0);
    add(bytes, LARGE_BYTES);
    ck_assert_int_eq(stat(name, &after), 0);
    ck_assert_int_gt(after.st_size, before.st_size + LARGE_BYTES / 2);
    assert_file(END_BYTES, true);
    /* It is given up, and cut off. */
    pf_volume_abort(&volume);
    ck_assert_int_eq(stat(name, &after), 0);
    ck_assert_int_eq(after.st_size, before.st_size);
    ck_assert_int_ne(pf_volume_write(&volume, bytes, 1), 0);
    ck_assert_int_ne(pf_volume_commit(&volume), 0);
    ck_assert_int_eq(pf_volume_close(&volume), 0);
    assert_file(END_BYTES, false);
    free(bytes);
}
END_TEST

/* A limit on the size of files is a full disk for everybody: for the file in
 * which Check's assertions tell their parent, too.  None may be made while it
 * holds. */
static void limit_files(rlim_t bytes)
{
    struct rlimit limit = { .rlim_cur = bytes, .rlim_max = RLIM_INFINITY };

    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        abort();
}

START_TEST(test_full_at_any_byte)
{
    int error = 0;
    size_t size = 0;

    if (!use(_i))
        return;
    (void)signal(SIGXFSZ, SIG_IGN);
    for (rlim_t more = 0; more < 3000; more += 191) {
        char *bytes;

        open_volume(END_BYTES);
        add_member(5000, 1);
        bytes = make_bytes(3000, 2);
        limit_files((rlim_t)volume.whole + more);
        error = pf_volume_write(&volume, bytes, 3000);
        if (error == 0)
            error = pf_volume_commit(&volume);
        if (error != 0)
            pf_volume_abort(&volume);
        limit_files(RLIM_INFINITY);
        if (error == 0)
            expect(bytes, 3000);
        else
            ck_assert_int_eq(error, EFBIG);
        ck_assert_int_eq(pf_volume_close(&volume), 0);
        assert_file(END_BYTES, false);
        ck_assert_int_eq(unlink(name), 0);
        free(bytes);
        size = expected_size;
        expected_size = 0;
    }
    expected_size = size;
}
END_TEST

START_TEST(test_streams_of_their_own)
{
    if (!use(_i))
        return;
    open_volume(0);
    for (unsigned i = 0; i < 4; i++) {
        char *bytes = make_bytes(1000, i);

        add(bytes, 1000);
        ck_assert_int_eq(pf_volume_end_stream(&volume), 0);
        expect(bytes, 1000);
        add_member(i == 2 ? LARGE_BYTES : 10, i);
        free(bytes);
    }
    ck_assert_int_eq(pf_volume_end_stream(&volume), 0);
    ck_assert_int_eq(pf_volume_commit(&volume), 0);
    ck_assert_int_eq(pf_volume_close(&volume), 0);
    assert_file(0, false);
}
END_TEST

/* Held bytes are replaced where they are: in memory, in the file, in both. */
START_TEST(test_hold_and_replace)
{
    static const size_t bodies[] = { 0, 100, 60000, 128 * 1024 - 500,
                                     128 * 1024, LARGE_BYTES };
    enum { HELD_BYTES = 700 };
    char *held, *final;

    if (!use(_i))
        return;
    held = make_bytes(HELD_BYTES, 1);
    final = make_bytes(HELD_BYTES, 2);
    open_volume(0);
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        char *body = make_bytes(bodies[i], 3);

        ck_assert_int_eq(pf_volume_hold(&volume, held, HELD_BYTES), 0);
        add(body, bodies[i]);
        ck_assert_int_eq(pf_volume_replace(&volume, final, HELD_BYTES), 0);
        ck_assert_int_eq(pf_volume_write(&volume, "!", 1), 0);
        ck_assert_int_eq(pf_volume_end_stream(&volume), 0);
        ck_assert_int_eq(pf_volume_commit(&volume), 0);
        expect(final, HELD_BYTES);
        expect(body, bodies[i]);
        expect("!", 1);
        assert_file(0, false);
        free(body);
    }
    ck_assert_int_eq(pf_volume_close(&volume), 0);
    free(held);
    free(final);
}
END_TEST

START_TEST(test_one_that_exists_is_left_alone)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0600);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, "mine", 4), 4);
    ck_assert_int_eq(close(fd), 0);
    kind = PF_PACK_PLAIN;
    ck_assert_int_eq(pf_volume_open(&volume, name, kind, end, END_BYTES),
                     EEXIST);
    ck_assert_int_eq(pf_volume_close(&volume), 0);
    expect("mine", 4);
    assert_file(0, false);
}
END_TEST

START_TEST(test_remove)
{
    kind = PF_PACK_PLAIN;
    open_volume(END_BYTES);
    pf_volume_remove(&volume);
    ck_assert_int_ne(access(name, F_OK), 0);
    /* Not what another has put there meanwhile. */
    open_volume(END_BYTES);
    ck_assert_int_eq(unlink(name), 0);
    ck_assert_int_eq(mkdir(name, 0700), 0);
    pf_volume_remove(&volume);
    ck_assert_int_eq(rmdir(name), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("volume");
    TCase *tests = tcase_create("volume");

    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_loop_test(tests, test_whole_after_each_commit, PF_PACK_PLAIN,
                        PF_PACK_ZSTD + 1);
    tcase_add_loop_test(tests, test_whole_while_a_member_is_added,
                        PF_PACK_PLAIN, PF_PACK_ZSTD + 1);
    tcase_add_loop_test(tests, test_full_at_any_byte, PF_PACK_PLAIN,
                        PF_PACK_ZSTD + 1);
    tcase_add_loop_test(tests, test_streams_of_their_own, PF_PACK_PLAIN,
                        PF_PACK_GZIP + 1);
    tcase_add_loop_test(tests, test_hold_and_replace, PF_PACK_PLAIN,
                        PF_PACK_GZIP + 1);
    tcase_add_test(tests, test_one_that_exists_is_left_alone);
    tcase_add_test(tests, test_remove);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
