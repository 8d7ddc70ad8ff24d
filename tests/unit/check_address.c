/* check_address.c - tests of address.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include "address.h"

#include "unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

static bool is_public(const char *text)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        return pf_address_is_public((struct sockaddr *)(void *)&v4);
    ck_assert_int_eq(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
    return pf_address_is_public((struct sockaddr *)(void *)&v6);
}

static const char *const publics[] = {
    "1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0",
    "126.255.255.255", "128.0.0.0", "169.253.255.255", "169.255.0.0",
    "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0",
    "198.17.255.255", "198.20.0.0", "223.255.255.255", "2606:4700::1111",
    "2001:4860:4860::8888", "::ffff:1.1.1.1", "64:ff9b::8.8.8.8",
    "2002:808:808::1",
};

static const char *const privates[] = {
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1",
    "100.127.255.255", "127.0.0.1", "127.255.255.255", "169.254.169.254",
    "172.16.0.1", "172.31.255.255", "192.0.0.170", "192.168.1.1",
    "198.18.0.1", "198.19.255.255", "203.0.113.9", "224.0.0.1", "240.0.0.1",
    "255.255.255.255", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1",
    "::ffff:10.1.2.3", "64:ff9b::127.0.0.1", "64:ff9b:1::1", "fc00::1",
    "fd12:3456::1", "fe80::1", "fec0::1", "ff02::1", "2002:7f00:1::1",
    "2002:a00:1::1", "2001::1", "2001:db8::1", "100::1", "3fff::1",
};

START_TEST(what_leads_out_is_public)
{
    ck_assert_msg(is_public(publics[_i]), "%s", publics[_i]);
}
END_TEST

START_TEST(what_leads_in_or_nowhere_is_not)
{
    ck_assert_msg(!is_public(privates[_i]), "%s", privates[_i]);
}
END_TEST

START_TEST(other_families_are_not)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };

    ck_assert(!pf_address_is_public((struct sockaddr *)(void *)&un));
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("address");

    tcase_add_loop_test(tests, what_leads_out_is_public, 0,
                        sizeof(publics) / sizeof(publics[0]));
    tcase_add_loop_test(tests, what_leads_in_or_nowhere_is_not, 0,
                        sizeof(privates) / sizeof(privates[0]));
    tcase_add_test(tests, other_families_are_not);
    return unit_run(tests, "address");
}
