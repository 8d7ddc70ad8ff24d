/* check_exchange.c - what is kept of requests and responses, and what not.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include "exchange.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

static struct pf_exchange *exchange;

static void set_up(void)
{
    exchange = pf_exchange_create(7);
    ck_assert_ptr_nonnull(exchange);
    ck_assert_int_eq(exchange->start_unix_ms, 7);
}

static void tear_down(void)
{
    pf_exchange_free(exchange);
}

static void send(const char *text)
{
    ck_assert_int_eq(pf_exchange_request(exchange, text, strlen(text)), 0);
}

static void get(const char *line, bool is_first)
{
    ck_assert_int_eq(pf_exchange_header(exchange, line, strlen(line),
                                        is_first), 0);
}

static void assert_text(const struct pf_text *text, const char *expected)
{
    ck_assert_uint_eq(text->size, strlen(expected));
    ck_assert_mem_eq(text->data, expected, text->size);
}

START_TEST(test_a_request_in_pieces)
{
    send("GET /a:b HT");
    send("TP/1.1\r\nHost: x\r\n");
    send("\r\n");
    pf_exchange_mask(exchange);
    assert_text(&exchange->request, "GET /a:b HTTP/1.1\r\nHost: x\r\n\r\n");
}
END_TEST

START_TEST(test_the_last_request_counts)
{
    send("CONNECT x:443 HTTP/1.1\r\nProxy-Authorization: Basic eA==\r\n\r\n");
    send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    pf_exchange_mask(exchange);
    assert_text(&exchange->request, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
}
END_TEST

static const struct {
    const char *sent, *kept;
} masks[] = {
    { "Authorization: Basic dTpwdw==", "Authorization: ***" },
    { "Proxy-Authorization: x", "Proxy-Authorization:" },
    { "Cookie: a=secret; b=c", "Cookie: ***" },
    { "X-Api-Key: secret", "X-Api-Key: ***" },
    { "X-Short: secr", "X-Short: ***" },
    { "X:secret", "X: ***" },
    { "X-Empty:", "X-Empty:" },
    { "Host: x", "Host: x" },
    { "hOST: x", "hOST: x" },
    { "User-Agent: a: b", "User-Agent: a: b" },
    { "Range: bytes=5-", "Range: bytes=5-" },
    /* A name that only begins like a harmless one. */
    { "Accept-Key: secret", "Accept-Key: ***" },
    { "Host : secret", "Host : ***" },
};

START_TEST(test_masks)
{
    char sent[200], kept[200];

    (void)snprintf(sent, sizeof(sent), "GET / HTTP/1.1\r\n%s\r\nTE: x\r\n\r\n",
                   masks[_i].sent);
    (void)snprintf(kept, sizeof(kept), "GET / HTTP/1.1\r\n%s\r\nTE: x\r\n\r\n",
                   masks[_i].kept);
    send(sent);
    pf_exchange_mask(exchange);
    assert_text(&exchange->request, kept);
    /* Nor is it left behind the end. */
    for (size_t i = exchange->request.size; i < strlen(sent); i++)
        ck_assert_int_eq(exchange->request.data[i], 0);
}
END_TEST

START_TEST(test_lines_that_are_none_of_ours)
{
    send("GET / HTTP/1.1\r\nX-A: b\nsecret\r\nHost: x\r\nAuthorization: sec");
    pf_exchange_mask(exchange);
    /* No colon, no value; cut off or badly ended, and it is dropped. */
    assert_text(&exchange->request,
                "GET / HTTP/1.1\r\nsecret\r\nHost: x\r\n");
}
END_TEST

START_TEST(test_many_fields)
{
    char field[64];
    size_t written;

    send("GET / HTTP/1.1\r\n");
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(field, sizeof(field), "X-%d: secret%d\r\n", i, i);
        send(field);
    }
    send("\r\n");
    written = exchange->request.size;
    pf_exchange_mask(exchange);
    /* Nor in what masking left behind the end. */
    ck_assert_ptr_null(memmem(exchange->request.data, written, "secret", 6));
}
END_TEST

START_TEST(test_a_header)
{
    get("HTTP/1.1 100 Continue\r\n", true);
    get("X: 1\r\n", false);
    get("\r\n", false);
    get("HTTP/1.1 200 OK\r\n", true);
    get("A: 1\r\n", false);
    get(" folded\r\n", false);
    get("\r\n", false);
    get("Trailer: 1\r\n", false);
    assert_text(&exchange->header,
                "HTTP/1.1 200 OK\r\nA: 1\r\n folded\r\n\r\n");
}
END_TEST

START_TEST(test_a_header_with_bare_newlines)
{
    get("HTTP/1.1 200 OK\n", true);
    get("A: 1\n", false);
    get("\n", false);
    get("B: 1\n", false);
    assert_text(&exchange->header, "HTTP/1.1 200 OK\nA: 1\n\n");
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("exchange");

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, test_a_request_in_pieces);
    tcase_add_test(tests, test_the_last_request_counts);
    tcase_add_loop_test(tests, test_masks, 0,
                        sizeof(masks) / sizeof(masks[0]));
    tcase_add_test(tests, test_lines_that_are_none_of_ours);
    tcase_add_test(tests, test_many_fields);
    tcase_add_test(tests, test_a_header);
    tcase_add_test(tests, test_a_header_with_bare_newlines);
    return unit_run(tests, "exchange");
}
