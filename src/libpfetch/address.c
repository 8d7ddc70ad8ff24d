/* address.c - which addresses are public.
 *
 * SPDX-License-Identifier: MIT
 *
 * What counts is the address that a socket is about to be made for: names,
 * redirects and ways to write a number lead here all the same, and a name that
 * resolves to something else the second time gains nothing.
 */
#include "config.h"

#include "address.h"

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct net4 {
    uint32_t net;
    unsigned bits;
};

/* "Globally reachable: false" in the IPv4 special-purpose registry (RFC 6890
 * and its updates), with multicast and what is reserved. */
static const struct net4 nets4[] = {
    { 0x00000000, 8 },  /* 0.0.0.0/8 this network */
    { 0x0a000000, 8 },  /* 10.0.0.0/8 private */
    { 0x64400000, 10 }, /* 100.64.0.0/10 shared, RFC 6598 */
    { 0x7f000000, 8 },  /* 127.0.0.0/8 loopback */
    { 0xa9fe0000, 16 }, /* 169.254.0.0/16 link-local */
    { 0xac100000, 12 }, /* 172.16.0.0/12 private */
    { 0xc0000000, 24 }, /* 192.0.0.0/24 protocol assignments */
    { 0xc0000200, 24 }, /* 192.0.2.0/24 documentation */
    { 0xc0586300, 24 }, /* 192.88.99.0/24 6to4 relays, RFC 7526 */
    { 0xc0a80000, 16 }, /* 192.168.0.0/16 private */
    { 0xc6120000, 15 }, /* 198.18.0.0/15 benchmarks */
    { 0xc6336400, 24 }, /* 198.51.100.0/24 documentation */
    { 0xcb007100, 24 }, /* 203.0.113.0/24 documentation */
    { 0xe0000000, 3 },  /* 224.0.0.0/3 multicast and reserved */
};

static bool is_public4(uint32_t address)
{
    for (size_t i = 0; i < sizeof(nets4) / sizeof(nets4[0]); i++)
        if ((address ^ nets4[i].net) >> (32 - nets4[i].bits) == 0)
            return false;
    return true;
}

static uint32_t word(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16
           | (uint32_t)bytes[2] << 8 | bytes[3];
}

static bool begins(const uint8_t *address, const char *bytes, size_t size)
{
    return memcmp(address, bytes, size) == 0;
}

/* Of IPv6 only 2000::/3 is unicast that leads anywhere (RFC 4291); in it lie
 * tunnels that carry an IPv4 address, and documentation.  64:ff9b::/96 (RFC
 * 6052) is the translator's way to an IPv4 address. */
static bool is_public6(const uint8_t *a)
{
    if (begins(a, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) /* ::ffff:a.b.c.d */
        || begins(a, "\0\x64\xff\x9b\0\0\0\0\0\0\0\0", 12))
        return is_public4(word(a + 12));
    if (a[0] >> 5 != 1)
        return false;
    if (begins(a, "\x20\x02", 2)) /* 6to4, RFC 3056 */
        return is_public4(word(a + 2));
    return !begins(a, "\x20\x01\0\0", 4)         /* Teredo, RFC 4380 */
           && !begins(a, "\x20\x01\x0d\xb8", 4)  /* documentation */
           && !begins(a, "\x3f\xff", 2);         /* documentation, RFC 9637 */
}

bool pf_address_is_public(const struct sockaddr *address)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    switch (address->sa_family) {
    case AF_INET:
        memcpy(&v4, address, sizeof(v4));
        return is_public4(ntohl(v4.sin_addr.s_addr));
    case AF_INET6:
        memcpy(&v6, address, sizeof(v6));
        return is_public6(v6.sin6_addr.s6_addr);
    default:
        return false;
    }
}
