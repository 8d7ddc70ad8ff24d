/* check_disposition.c - the file name in a Content-Disposition header.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "disposition.h"
#include "suite.h"

static const struct {
    const char *value;
    const char *name; /* NULL: none */
} headers[] = {
    { "attachment; filename=\"a.txt\"", "a.txt" },
    { "attachment; filename=a.txt", "a.txt" },
    { "inline; FileName=a.txt", "a.txt" },
    { "attachment;filename=a.txt;size=5", "a.txt" },
    { "attachment ;\tfilename = \"a.txt\" ; x=y", "a.txt" },
    { "filename=a.txt", "a.txt" },
    { "attachment; x; filename=a.txt", "a.txt" },
    { "attachment; filename=my file.txt ; x=y", "my file.txt" },
    { "attachment; filename=\"a;b\"", "a;b" },
    { "attachment; filename=\"a\\\"b\\\\c\"", "c" },
    { "attachment; filename=\"a\\\"b\"", "a\"b" },
    { "attachment; other=\"filename=x\"; filename=a", "a" },
    { "attachment; \"filename=x\"; filename=a", "a" },
    { "attachment; filename=a; filename=b", "a" },
    { "attachment; filename=\"a%20b\"", "a%20b" },
    { "attachment; filename=\"\xc3\xa9\"", "\xc3\xa9" },
    { "attachment; filename=\"\xe9\"", "\xc3\xa9" },
    { "attachment; filename=\"\xff\x80\"", "\xc3\xbf\xc2\x80" },
    /* RFC 8187. */
    { "attachment; filename*=UTF-8''%e2%82%ac%20x", "\xe2\x82\xac x" },
    { "attachment; filename*=utf-8'en'a%2eb", "a.b" },
    { "attachment; filename*=iso-8859-1''%e9", "\xc3\xa9" },
    { "attachment; filename=a; filename*=UTF-8''b", "b" },
    { "attachment; filename*=UTF-8''b; filename=a", "b" },
    { "attachment; filename=a; filename*=UTF-8''%ff", "a" },
    { "attachment; filename=a; filename*=UTF-8''%", "a" },
    { "attachment; filename=a; filename*=UTF-8''%4", "a" },
    { "attachment; filename=a; filename*=UTF-8''%zz", "a" },
    { "attachment; filename=a; filename*=UTF-8''x%00y", "a" },
    { "attachment; filename=a; filename*=UTF-8''\xc3\xa9", "a" },
    { "attachment; filename=a; filename*=UTF-7''b", "a" },
    { "attachment; filename=a; filename*=UTF-8'b", "a" },
    { "attachment; filename=a; filename*=b", "a" },
    { "attachment; filename=a; filename*=\"UTF-8''b\"", "a" },
    { "attachment; filename*0=a; filename*1=b", NULL },
    /* A path is a server's affair. */
    { "attachment; filename=\"../../evil\"", "evil" },
    { "attachment; filename=\"/etc/passwd\"", "passwd" },
    { "attachment; filename=\"C:\\\\dir\\\\evil\"", "evil" },
    { "attachment; filename*=UTF-8''..%2f..%2fevil", "evil" },
    { "attachment; filename*=UTF-8''..%5c..%5cevil", "evil" },
    { "attachment; filename=\".bashrc\"", ".bashrc" },
    { "attachment; filename=\"dir/\"", NULL },
    { "attachment; filename=\"..\"", NULL },
    { "attachment; filename=\"a/.\"", NULL },
    { "attachment; filename=\"\"", NULL },
    { "attachment; filename=", NULL },
    { "attachment; filename=;", NULL },
    { "attachment; filename", NULL },
    { "attachment; filename=\"a", NULL },
    { "attachment; filename=\"a\\", NULL },
    { "attachment", NULL },
    { "", NULL },
    { ";;;=;\"", NULL },
    { "=x; filename=a", "a" },
    { "\"", NULL },
};

START_TEST(test_header)
{
    char name[PF_DISPOSITION_SIZE];
    bool found = pf_disposition_name(headers[_i].value, name);

    ck_assert_msg(found == (headers[_i].name != NULL), "%s",
                  headers[_i].value);
    if (found)
        ck_assert_str_eq(name, headers[_i].name);
}
END_TEST

START_TEST(test_length)
{
    char value[PF_DISPOSITION_SIZE + 100] = "attachment; filename=";
    size_t before = strlen(value);
    char name[PF_DISPOSITION_SIZE];

    memset(value + before, 'a', PF_DISPOSITION_SIZE);
    value[before + PF_DISPOSITION_SIZE - 1] = '\0';
    ck_assert(pf_disposition_name(value, name));
    ck_assert_uint_eq(strlen(name), PF_DISPOSITION_SIZE - 1);
    value[before + PF_DISPOSITION_SIZE - 1] = 'a';
    ck_assert(!pf_disposition_name(value, name));
    /* Twice as long when it is not UTF-8. */
    value[before] = '\xe9';
    value[before + PF_DISPOSITION_SIZE - 2] = '\0';
    ck_assert(pf_disposition_name(value, name));
    value[before + 1] = '\xe9';
    ck_assert(!pf_disposition_name(value, name));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("disposition");
    TCase *tcase = tcase_create("headers");

    tcase_add_loop_test(tcase, test_header, 0,
                        (int)(sizeof headers / sizeof headers[0]));
    tcase_add_test(tcase, test_length);
    suite_add_tcase(suite, tcase);

    return suite_run(suite);
}
