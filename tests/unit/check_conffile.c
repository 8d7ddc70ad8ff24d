/* check_conffile.c - tests of conffile.c: how a line is read, where the file
 * is, and what is no configuration file.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include "conffile.h"

#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char name[64];

static void write_file(const char *text, size_t size)
{
    (void)strcpy(name, "check_conffile.XXXXXX");
    int fd = mkstemp(name);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, size), (ssize_t)size);
    ck_assert_int_eq(close(fd), 0);
}

/* The entries, as "line:name=value;", a value that is not there as "!". */
static void expect(const char *text, const char *expected)
{
    struct pf_conffile file;
    struct pf_conffile_entry entry;
    char all[1024] = "";
    size_t used = 0;

    write_file(text, strlen(text));
    ck_assert_int_eq(pf_conffile_read(&file, name), 0);
    ck_assert_int_eq(unlink(name), 0);
    while (pf_conffile_next(&file, &entry))
        used += (size_t)snprintf(all + used, sizeof(all) - used, "%u:%s=%s;",
                                 file.line, entry.name,
                                 entry.value != NULL ? entry.value : "!");
    ck_assert_str_eq(all, expected);
    pf_conffile_free(&file);
    pf_conffile_free(&file);
}

START_TEST(lines)
{
    expect("", "");
    expect("\n# c\n \t\n  # d\n", "");
    expect("a", "1:a=!;");
    expect("a b\n--c=d\ne = f\n  --no-g \n", "1:a=b;2:c=d;3:e=f;4:no-g=!;");
    expect("a=b", "1:a=b;");
    expect("a=\nb =\nc= \n", "1:a=;2:b=;3:c=;");
    expect("a \t b c  d \r\n\r\nb=c\r", "1:a=b c  d;3:b=c;");
    expect("a==b\na = =b\nh X-A: b=c # no comment\n",
           "1:a==b;2:a==b;3:h=X-A: b=c # no comment;");
    expect("q \"x y\"", "1:q=\"x y\";");
    expect("-t 4\n--\n---a b\n", "1:-t=4;2:=!;3:-a=b;");
    expect("\xef\xbb\xbf# c\na b", "2:a=b;");
}
END_TEST

START_TEST(what_cannot_be_read)
{
    static char text[PF_CONFFILE_BYTES + 1];
    struct pf_conffile file;

    ck_assert_int_eq(pf_conffile_read(&file, "/nonexistent/x"), ENOENT);
    pf_conffile_free(&file);
    ck_assert_int_eq(pf_conffile_read(&file, "/"), EISDIR);
    write_file("a\0b", 3);
    ck_assert_int_eq(pf_conffile_read(&file, name), EILSEQ);
    ck_assert_int_eq(unlink(name), 0);
    memset(text, 'x', sizeof(text));
    write_file(text, sizeof(text));
    ck_assert_int_eq(pf_conffile_read(&file, name), EFBIG);
    ck_assert_int_eq(unlink(name), 0);
    write_file(text, sizeof(text) - 1);
    ck_assert_int_eq(pf_conffile_read(&file, name), 0);
    ck_assert_int_eq(unlink(name), 0);
    pf_conffile_free(&file);
}
END_TEST

static void check_default(const char *config_home, const char *home,
                          const char *expected)
{
    char found[PF_CONFFILE_NAME_BYTES] = "";

    ck_assert_int_eq(config_home != NULL
                         ? setenv("XDG_CONFIG_HOME", config_home, 1)
                         : unsetenv("XDG_CONFIG_HOME"), 0);
    ck_assert_int_eq(home != NULL ? setenv("HOME", home, 1)
                                  : unsetenv("HOME"), 0);
    ck_assert(pf_conffile_default(found) == (expected != NULL));
    if (expected != NULL)
        ck_assert_str_eq(found, expected);
}

START_TEST(where_it_is)
{
    check_default("/c", "/h", "/c/pfetch/config");
    check_default(NULL, "/h", "/h/.config/pfetch/config");
    check_default("", "/h", "/h/.config/pfetch/config");
    check_default("relative", "/h", "/h/.config/pfetch/config");
    check_default(NULL, "", NULL);
    check_default(NULL, "relative", NULL);
    check_default(NULL, NULL, NULL);
    check_default("/c", NULL, "/c/pfetch/config");
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("conffile");

    tcase_add_test(tests, lines);
    tcase_add_test(tests, what_cannot_be_read);
    tcase_add_test(tests, where_it_is);
    return unit_run(tests, "conffile");
}
