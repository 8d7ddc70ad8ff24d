/* check_frame.c - tests of json.c and frame.c.
 *
 * SPDX-License-Identifier: MIT
 *
 * What is written is read back with a JSON library that is not ours.
 */
#include "config.h"

#include "frame.h"
#include "json.h"

#include "unit.h"

#include <jansson.h>
#include <string.h>

static struct pf_json out;

static json_t *parse(void)
{
    json_error_t error;
    json_t *json = json_loadb(out.text, out.size,
                              JSON_ALLOW_NUL | JSON_DECODE_ANY, &error);

    ck_assert_msg(json != NULL, "%s in %.*s", error.text, (int)out.size,
                  out.text);
    return json;
}

START_TEST(test_every_character_comes_back)
{
    for (unsigned code = 0; code < 0x11000; code++) {
        char text[8];
        size_t size = 0;
        json_t *json;

        if (code >= 0xd800 && code < 0xe000)
            continue;
        if (code < 0x80) {
            text[size++] = (char)code;
        } else if (code < 0x800) {
            text[size++] = (char)(0xc0 | code >> 6);
            text[size++] = (char)(0x80 | (code & 63));
        } else if (code < 0x10000) {
            text[size++] = (char)(0xe0 | code >> 12);
            text[size++] = (char)(0x80 | (code >> 6 & 63));
            text[size++] = (char)(0x80 | (code & 63));
        } else {
            text[size++] = (char)(0xf0 | code >> 18);
            text[size++] = (char)(0x80 | (code >> 12 & 63));
            text[size++] = (char)(0x80 | (code >> 6 & 63));
            text[size++] = (char)(0x80 | (code & 63));
        }
        ck_assert(pf_json_is_utf8(text, size));
        out.size = 0;
        pf_json_string(&out, text, size);
        json = parse();
        ck_assert_uint_eq(json_string_length(json), size);
        ck_assert_mem_eq(json_string_value(json), text, size);
        json_decref(json);
        /* Nothing that a terminal would obey. */
        for (size_t i = 0; i < out.size; i++)
            ck_assert_uint_ge((unsigned char)out.text[i], 0x20);
        ck_assert_ptr_null(memchr(out.text, 0x7f, out.size));
        if (code >= 0x80 && code < 0xa0)
            ck_assert_ptr_null(memchr(out.text, 0xc2, out.size));
    }
    pf_json_fini(&out);
}
END_TEST

START_TEST(test_what_is_not_utf8)
{
    static const char *const bad[] = {
        "\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xe0\x9f\xbf",
        "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5",
        "\xff", "\xe2\x82", "\xf0\x9f\x98", "a\xc3", "\xe2\x28\xa1",
        "\xf0\x9f\x28\x80",
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        json_t *json;

        ck_assert_msg(!pf_json_is_utf8(bad[i], strlen(bad[i])), "%zu", i);
        out.size = 0;
        pf_json_string(&out, bad[i], strlen(bad[i]));
        json = parse(); /* it is JSON all the same */
        ck_assert_ptr_nonnull(strchr(json_string_value(json), '%'));
        json_decref(json);
    }
    ck_assert(pf_json_is_utf8("", 0));
    ck_assert(pf_json_is_utf8("a\0b", 3));
    pf_json_fini(&out);
}
END_TEST

/* RFC 4648 section 10. */
START_TEST(test_base64)
{
    static const char *const pairs[][2] = {
        { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" },
        { "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" },
        { "foobar", "Zm9vYmFy" }, { "\xff\xff\xfe", "///+" },
    };

    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        out.size = 0;
        pf_json_base64(&out, pairs[i][0], strlen(pairs[i][0]));
        ck_assert_uint_eq(out.size, strlen(pairs[i][1]));
        if (out.size > 0)
            ck_assert_mem_eq(out.text, pairs[i][1], out.size);
    }
    pf_json_fini(&out);
}
END_TEST

static const char *text_of(const json_t *json, const char *key)
{
    return json_string_value(json_object_get(json, key));
}

START_TEST(test_a_frame)
{
    struct pfetch_request request = {
        .url = "http://me:secret@host/a\"b\n?q=1", .list = "l\xffist", .n = 7,
        .line = 3, .id = "x\ty",
    };
    struct pfetch_record record = {
        .request = &request, .status = PFETCH_STATUS_OK, .bytes = 12,
        .http_status = 200, .attempts = 2, .etag = "\"v\"",
        .effective_url = "http://host/other",
    };
    const char *begin = "{\"length\":12,";
    json_t *json;

    pf_frame_header(&out, &record, 12);
    ck_assert_uint_gt(out.size, strlen(begin));
    ck_assert_mem_eq(out.text, begin, strlen(begin));
    ck_assert_int_eq(out.text[out.size - 1], '\n');
    ck_assert_ptr_eq(memchr(out.text, '\n', out.size),
                     out.text + out.size - 1);
    json = parse();
    ck_assert_int_eq(json_integer_value(json_object_get(json, "length")), 12);
    ck_assert_int_eq(json_integer_value(json_object_get(json, "n")), 7);
    ck_assert_int_eq(json_integer_value(json_object_get(json, "line")), 3);
    ck_assert_int_eq(json_integer_value(json_object_get(json, "http")), 200);
    ck_assert_str_eq(text_of(json, "list"), "l%FFist");
    ck_assert_str_eq(text_of(json, "id"), "x\ty");
    ck_assert_str_eq(text_of(json, "status"), "ok");
    ck_assert_str_eq(text_of(json, "etag"), "\"v\"");
    ck_assert_ptr_null(strstr(text_of(json, "url"), "secret"));
    ck_assert_ptr_null(json_object_get(json, "error"));
    json_decref(json);

    out.size = 0;
    record.status = PFETCH_STATUS_FAILED;
    record.cls = PFETCH_CLASS_HTTP;
    record.message = "HTTP 404";
    record.bytes = -1;
    request.url = NULL;
    pf_frame_header(&out, &record, 0);
    json = parse();
    ck_assert_str_eq(text_of(json, "error"), "http");
    ck_assert_str_eq(text_of(json, "message"), "HTTP 404");
    ck_assert_ptr_null(json_object_get(json, "bytes"));
    ck_assert_ptr_null(json_object_get(json, "url"));
    json_decref(json);
    pf_json_fini(&out);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("frame");

    tcase_add_test(tests, test_every_character_comes_back);
    tcase_add_test(tests, test_what_is_not_utf8);
    tcase_add_test(tests, test_base64);
    tcase_add_test(tests, test_a_frame);
    return unit_run(tests, "frame");
}
