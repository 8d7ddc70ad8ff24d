/* date.c - see date.h.
 *
 * SPDX-License-Identifier: MIT
 *
 * curl_getdate(3) knows many forms and costs 11,000 instructions, a tenth of
 * what a small file takes.  Nearly every server sends the one form that RFC
 * 9110, section 5.6.7, prescribes, which takes few; all others are left to
 * libcurl.
 */
#include "config.h"

#include "date.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <string.h>

/* Two digits; -1: others. */
static int number(const char *at)
{
    unsigned tens = (unsigned)(unsigned char)at[0] - '0';
    unsigned ones = (unsigned)(unsigned char)at[1] - '0';

    return tens > 9 || ones > 9 ? -1 : (int)(tens * 10 + ones);
}

/* 0 is January; -1: none. */
static int month(const char *at)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

    for (int i = 0; i < 12; i++)
        if (memcmp(names + 3 * i, at, 3) == 0)
            return i;
    return -1;
}

static bool is_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Days before the year 'year' of our calendar. */
static int64_t days_before(int year)
{
    int64_t years = year - 1;

    return years * 365 + years / 4 - years / 100 + years / 400;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT"; -1: another form, or before 1970. */
static int64_t fixed_form(const char *text)
{
    static const int before[] = { 0,   31,  59,  90,  120, 151, 181,
                                  212, 243, 273, 304, 334, 365 };
    static const char form[] = "???, ?? ??? ???? ??:??:?? GMT";
    size_t length = sizeof form - 1;

    if (strlen(text) != length)
        return -1;
    for (size_t i = 0; i < length; i++)
        if (form[i] != '?' && form[i] != text[i])
            return -1;
    int day = number(text + 5), mon = month(text + 8);
    int century = number(text + 12), year = number(text + 14);
    int hour = number(text + 17), minute = number(text + 20);
    int second = number(text + 23);

    if (day < 1 || mon < 0 || century < 0 || year < 0 || hour < 0 || hour > 23
        || minute < 0 || minute > 59 || second < 0 || second > 59)
        return -1;
    year += 100 * century;
    bool has_29 = mon == 1 && is_leap(year);
    if (year < 1970 || day > before[mon + 1] - before[mon] + has_29)
        return -1;
    int64_t days = days_before(year) - days_before(1970) + before[mon]
                   + (mon > 1 && is_leap(year)) + day - 1;
    return ((days * 24 + hour) * 60 + minute) * 60 + second;
}

int64_t pf_date(const char *text)
{
    int64_t seconds = fixed_form(text);

    return seconds >= 0 ? seconds : (int64_t)curl_getdate(text, NULL);
}
