/* address.h - which addresses are public.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PF_ADDRESS_H
#define PF_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

/* False for what leads to this machine, to its own networks, or nowhere
 * (the registries of RFC 6890), also as an IPv4 address inside an IPv6 one, and
 * for families other than these two.  Pure. */
bool pf_address_is_public(const struct sockaddr *address);

#endif
