/* check_shard.c - tests of shard.c: the words for a shard, what the
 * environment says, and that hosts are spread evenly.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include "shard.h"

#include "unit.h"

#include <stdio.h>
#include <string.h>

/* Sets a variable, or takes it away. */
static void set(const char *name, const char *value)
{
    ck_assert_int_eq(value != NULL ? setenv(name, value, 1) : unsetenv(name),
                     0);
}

static void set_slurm(const char *id, const char *min, const char *step,
                      const char *count)
{
    set("SLURM_ARRAY_TASK_ID", id);
    set("SLURM_ARRAY_TASK_MIN", min);
    set("SLURM_ARRAY_TASK_STEP", step);
    set("SLURM_ARRAY_TASK_COUNT", count);
}

static void clear_environment(void)
{
    set_slurm(NULL, NULL, NULL, NULL);
    set("JOB_COMPLETION_INDEX", NULL);
}

static void expect(const char *text, unsigned index, unsigned count)
{
    char why[PF_SHARD_WHY_BYTES] = "";
    struct pf_shard shard;

    ck_assert_msg(pf_shard_parse(&shard, text, why), "%s: %s", text, why);
    ck_assert_uint_eq(shard.index, index);
    ck_assert_uint_eq(shard.count, count);
}

static void refuse(const char *text, const char *what)
{
    char why[PF_SHARD_WHY_BYTES] = "";
    struct pf_shard shard;

    ck_assert_msg(!pf_shard_parse(&shard, text, why), "accepted: %s", text);
    ck_assert_msg(strstr(why, what) != NULL, "%s: %s", text, why);
}

START_TEST(one_of_so_many)
{
    static const char *const bad[] = {
        "", "1", "1/", "/2", "1/2/", "1/2x", " 1/2", "1 /2", "-1/2", "+1/2",
        "1/-2", "a/b", "1/0", "0x1/2", "1/9999999999", "9999999999/1", "autos",
        "auto/", "auto/0", "auto/x", "aut", "AUTO",
    };

    expect("1/1", 1, 1);
    expect("1/4", 1, 4);
    expect("4/4", 4, 4);
    expect("1000000/1000000", 1000000, 1000000);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        refuse(bad[i], "neither I/N");
    refuse("0/4", "from 1 to N");
    refuse("5/4", "from 1 to N");
    refuse("1/1000001", "at most");
}
END_TEST

START_TEST(a_task_of_slurm)
{
    clear_environment();
    refuse("auto", "neither SLURM_ARRAY_TASK_ID");
    set_slurm("7", "5", NULL, "4");
    expect("auto", 3, 4);
    expect("auto/4", 3, 4);
    refuse("auto/5", "SLURM_ARRAY_TASK_COUNT is 4");
    set("JOB_COMPLETION_INDEX", "0"); /* Slurm goes first */
    expect("auto", 3, 4);
    set_slurm("0", "0", "1", "1");
    expect("auto", 1, 1);
    set_slurm("30", "10", "10", "3");
    expect("auto", 3, 3);
    set_slurm("31", "10", "10", "3");
    refuse("auto", "gaps");
    set_slurm("40", "10", "10", "3");
    refuse("auto", "gaps");
    set_slurm("9", "10", "10", "3");
    refuse("auto", "gaps");
    set_slurm("9", "0", "0", "30");
    refuse("auto", "gaps");
    set_slurm("9", NULL, NULL, "30");
    refuse("auto", "_MIN is not set");
    set_slurm("9", "0", NULL, NULL);
    refuse("auto", "_COUNT is not set");
    set_slurm("9x", "0", NULL, "30");
    refuse("auto", "_ID is no number: '9x'");
    set_slurm("", "0", NULL, "30");
    refuse("auto", "_ID is no number");
    set_slurm("9", "0", NULL, "2000000");
    refuse("auto", "at most");
}
END_TEST

START_TEST(a_pod_of_kubernetes)
{
    clear_environment();
    set("JOB_COMPLETION_INDEX", "0");
    expect("auto/3", 1, 3);
    set("JOB_COMPLETION_INDEX", "2");
    expect("auto/3", 3, 3);
    refuse("auto", "auto/N");
    refuse("auto/2", "counted from 0");
    set("JOB_COMPLETION_INDEX", "x");
    refuse("auto/3", "no number");
}
END_TEST

/* The environment does not matter to who says it himself. */
START_TEST(numbers_do_not_ask_the_environment)
{
    clear_environment();
    set_slurm("7", "5", NULL, "4");
    expect("2/9", 2, 9);
}
END_TEST

/* A host name: before, a number, between, a number, behind. */
struct name {
    const char *before, *between, *behind;
};

static void check_spread(const struct name *name, unsigned count)
{
    enum { HOSTS = 20000 };
    unsigned hosts[64] = {0};

    for (unsigned i = 0; i < HOSTS; i++) {
        char host[64];

        (void)snprintf(host, sizeof(host), "%s%u%s%u%s", name->before,
                       i / 250, name->between, i % 250, name->behind);
        unsigned shard = pf_shard_of(host, count);
        REQUIRE(shard >= 1 && shard <= count);
        REQUIRE(shard == pf_shard_of(host, count));
        hosts[shard]++;
    }
    /* Six standard deviations of a fair draw, at most. */
    unsigned mean = HOSTS / count;
    for (unsigned i = 1; i <= count; i++)
        ck_assert_msg((hosts[i] - mean) * (hosts[i] - mean) <= 36 * mean,
                      "%s: %u of %d in shard %u of %u", name->before,
                      hosts[i], HOSTS, i, count);
}

START_TEST(hosts_are_spread_evenly)
{
    static const struct name names[] = {
        {"127.1.", ".", ""}, {"h", "-", ".example"}, {"", ".", ""},
        {"a", "b", ""}, {"www.", "-a-longer-name-than-that.",
                         ".example.com"},
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        for (unsigned count = 2; count <= 50; count += 3)
            check_spread(&names[i], count);
    ck_assert_uint_eq(pf_shard_of("", 1), 1);
    ck_assert_uint_eq(pf_shard_of("x", 1), 1);
}
END_TEST

/* Processes of one run may stand on different machines: the hash is that of
 * the bytes, today and tomorrow. */
START_TEST(shards_are_the_same_everywhere)
{
    ck_assert_uint_eq(pf_shard_of("example.org", 1000000), 727632);
    ck_assert_uint_eq(pf_shard_of("127.0.0.1", 1000000), 373155);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("shard");

    tcase_add_test(tests, one_of_so_many);
    tcase_add_test(tests, a_task_of_slurm);
    tcase_add_test(tests, a_pod_of_kubernetes);
    tcase_add_test(tests, numbers_do_not_ask_the_environment);
    tcase_add_test(tests, hosts_are_spread_evenly);
    tcase_add_test(tests, shards_are_the_same_everywhere);
    return unit_run(tests, "shard");
}
