"""Expressions of Spark SQL, each run by Spark and by noskew on all rows of ``rows.py``."""

from __future__ import annotations

#: One expression a line.
EXPRESSIONS = r"""
n + k
i + h
tiny + small
tiny * tiny
n - k
n * k
i * h
n + i
x + y
x - y
x * y
f + f
f * x
n + x
n + f
price + cost
price - cost
cost * cost
price * 2
price + 1
price + 0.5
price + x
price + n
n / k
n / 2
i / h
x / y
f / f
x / 0
n div k
i div h
tiny div small
n % k
i % h
x % y
f % f
n % 3
mod(n, 3)
pmod(n, k)
pmod(n, 3)
pmod(i, h)
pmod(x, y)
-n
-i
-tiny
-x
-price
+n
n = k
n <> i
n < x
x = y
x < y
x >= y
x <=> y
n <=> k
s = u
s < u
s <=> u
price > cost
price > 1
price = x
d < d2
d < at
at < until
d = '2020-02-29'
d > '1970-01-01'
at >= '2020-01-01'
at >= '2020-01-01 00:00:00'
n between i and k
x between 0 and 1.5
d between '1970-01-01' and '2020-02-29'
ok and no
ok or no
not ok
ok = no
ok <=> no
n & k
n | k
n ^ k
~n
i & h
tiny & n
s || u
s || 'x'
s || n
items[0]
items[1]
items[i]
words[0]
items[-1]
n in (1, 2, 3)
n in (1, null)
s in ('a', 'abc', '')
x in (1, 1.5)
d in (date '1970-01-01')
n is null
n is not null
ok is true
ok is not false
ok is not true
case when n > 0 then 'pos' when n < 0 then 'neg' else 'zero' end
case n when 1 then 'one' when 2 then 'two' end
case when ok then n else x end
case when ok then 1 else 2.5 end
case when ok then d else at end
case when ok then n end
case when n > 1 then i else n end
d + 1
d - 1
d + interval 1 day
d - interval 1 month
d + interval '1' year
d + interval 3 hours
at + interval 1 day
at - interval 2 months
at + interval 90 minutes
at + interval 1 week
date '2020-02-29'
timestamp '2020-02-29 12:00:00'
timestamp '2020-02-29 12:00:00+02:00'
1
1.5
1e3
10000000000
true
1L
1.5D
2.50BD
1Y
r'a\d'
cast(n as int)
cast(n as tinyint)
cast(n as smallint)
cast(n as double)
cast(n as float)
cast(n as decimal(10,2))
cast(n as decimal(38,0))
cast(n as string)
cast(n as boolean)
cast(i as timestamp)
cast(x as int)
cast(x as bigint)
cast(x as tinyint)
cast(x as smallint)
cast(x as float)
cast(x as decimal(10,2))
cast(x as decimal(38,10))
cast(x as boolean)
cast(f as double)
cast(f as int)
cast(f as bigint)
cast(f as decimal(10,3))
cast(price as int)
cast(price as bigint)
cast(price as tinyint)
cast(price as double)
cast(price as float)
cast(price as decimal(10,1))
cast(price as decimal(20,4))
cast(price as string)
cast(price as boolean)
cast(ok as int)
cast(ok as double)
cast(ok as string)
cast(t as int)
cast(t as bigint)
cast(t as tinyint)
cast(t as smallint)
cast(t as double)
cast(t as float)
cast(t as decimal(10,2))
cast(t as boolean)
cast(t as date)
cast(s as date)
cast(d as timestamp)
cast(d as string)
cast(at as date)
cast(at as string)
cast(until as bigint)
cast(at as int)
cast(at as double)
cast(at as float)
cast('2020-01-01' as date)
cast('2020-01-01 10:00:00' as timestamp)
int(x)
bigint(t)
double(t)
string(n)
boolean(n)
date(at)
int(t)
price * cost
d + tiny
length(s)
char_length(s)
length(raw)
octet_length(s)
bit_length(s)
upper(s)
lower(s)
upper(u)
trim(s)
ltrim(s)
rtrim(s)
btrim(s, 'a ')
ltrim('a', s)
rtrim(',', s)
trim(both 'a' from s)
trim(leading ' ' from s)
trim(trailing 'e' from s)
substring(s, 2, 3)
substring(s, 0, 2)
substring(s, -3, 2)
substr(s, 2)
substring(s from 2 for 2)
substring(s, -100, 101)
left(s, 3)
right(s, 3)
substring_index(s, '.', 2)
substring_index(s, '.', -1)
substring_index(s, 'b', i)
instr(s, 'a')
instr(s, u)
locate('a', s)
locate('a', s, 2)
locate('a', s, i)
position('a' in s)
position('b', s)
lpad(s, 5, 'xy')
lpad(s, 5)
lpad(s, tiny, '')
rpad(s, tiny, 'ab')
repeat(s, 2)
repeat(s, tiny)
space(tiny)
replace(s, 'a', 'b')
replace(s, 'a')
replace(s, '', 'x')
replace(s, u, 'x')
translate(s, 'abc', 'xy')
translate(s, 'aab', 'xyz')
concat(s, u)
concat(s, '-', n, '-', d)
concat(items, others)
concat_ws(',', s, u)
concat_ws('-', s, n)
ascii(s)
chr(n)
char(i)
startswith(s, 'a')
endswith(s, 'c')
contains(s, 'b')
contains(s, u)
s rlike '^[a-z]+$'
s rlike 'o.*b'
s rlike '(?i)HELLO'
s rlike '\\d+'
s rlike '[^a-z]'
s rlike 'e$'
s rlike '^\\s+'
s rlike '\\w+@\\w+\\.com'
s rlike 'a.b'
s rlike 'end$'
s rlike '(a|b){2,3}'
s regexp '^$'
regexp_like(s, 'x')
regexp_extract(s, '(\\d+)', 1)
regexp_extract(s, '([a-z]+)(\\d+)?', 2)
regexp_extract(s, '(\\w+)@(\\w+)', 2)
regexp_extract(s, 'a', 0)
regexp_extract(s, '([a-z])')
regexp_extract_all(s, '(\\d+)', 1)
regexp_extract_all(s, '([a-z])(\\d)?', 2)
regexp_replace(s, '[^a-z]', '')
regexp_replace(s, '(\\d)(\\d)', '$2$1')
regexp_replace(s, '\\s+', ' ')
regexp_replace(s, 'a', '\\$')
regexp_count(s, '[aeiou]')
split(s, ',')
split(s, '[,.]')
split(s, ',', 2)
split(s, ',', -1)
split(s, '\\.', 2)
split(s, 'X', 0)
split_part(s, '.', 2)
split_part(s, ',', -1)
s like 'a%'
s like '%_b%'
s like '100\\%'
s like 'a!%' escape '!'
s like 'Hello _orld'
s ilike 'HELLO%'
md5(s)
sha1(s)
sha2(s, 256)
sha(s)
base64(s)
base64(raw)
hex(s)
hex(n)
hex(raw)
hex(i)
reverse(s)
reverse(items)
find_in_set('a', s)
find_in_set(s, 'abc,a,,é')
substring(s, tiny)
left(s, tiny)
right(s, tiny)
substring_index(s, ',', i)
coalesce(n, k, 0)
coalesce(x, n)
nvl(s, 'none')
ifnull(n, i)
nvl2(s, n, i)
nullif(n, k)
nullif(s, '')
nullif(x, 0)
if(n > 1, 'a', 'b')
if(ok, n, x)
isnull(n)
isnotnull(s)
isnan(x)
isnan(f)
nanvl(x, y)
nanvl(x, 0)
greatest(n, k)
least(n, k, 5)
greatest(x, y)
least(x, y)
greatest(n, x)
greatest(s, u)
least(d, d2)
nullifzero(n)
zeroifnull(n)
equal_null(n, k)
abs(n)
abs(i)
abs(tiny)
abs(x)
abs(price)
positive(n)
negative(n)
ceil(x)
ceiling(n)
floor(x)
floor(f)
floor(i)
round(x)
round(x, 2)
round(x, 1)
round(x, 6)
round(f)
round(f, 2)
round(n)
round(n, -2)
round(i, -1)
round(price, 1)
round(price)
round(price, 5)
bround(x)
bround(x, 2)
bround(price, 1)
rint(x)
sqrt(x)
cbrt(x)
exp(x)
expm1(x)
ln(x)
log(x)
log(2, x)
log(x, y)
log2(x)
log10(x)
log1p(x)
pow(x, y)
power(x, 2)
pow(n, 2)
sin(x)
cos(x)
tan(x)
asin(x)
acos(x)
atan(x)
atan2(x, y)
sinh(x)
cosh(x)
tanh(x)
cot(x)
degrees(x)
radians(x)
pi()
e()
sign(x)
sign(n)
signum(x)
factorial(i)
factorial(n)
bit_count(n)
bit_count(i)
shiftleft(n, i)
shiftleft(i, h)
shiftright(n, i)
shiftright(i, h)
shiftrightunsigned(n, i)
shiftrightunsigned(i, h)
n << 2
n >> 2
bin(n)
bin(i)
try_divide(n, k)
try_divide(x, y)
try_add(n, k)
try_subtract(n, k)
try_multiply(n, k)
try_add(i, h)
size(items)
cardinality(words)
array_size(items)
array_contains(items, 1)
array_contains(items, n)
array_contains(words, 'a')
array_contains(weights, double('NaN'))
array_position(items, 2)
array_position(items, n)
element_at(items, 1)
element_at(items, -1)
try_element_at(items, 7)
get(items, 0)
get(items, i)
array_min(items)
array_max(items)
array_min(weights)
array_max(weights)
array_max(words)
array_distinct(items)
array_distinct(words)
array_distinct(weights)
array_remove(items, 1)
array_remove(items, n)
array_compact(items)
array_append(items, 5)
array_append(items, n)
array_prepend(items, n)
array_join(words, ',')
array_join(words, '-', '?')
sort_array(items)
sort_array(items, false)
sort_array(words)
sort_array(weights)
sort_array(weights, false)
array_sort(items)
array_sort(weights)
array_sort(words)
slice(items, 1, 2)
slice(items, -2, 2)
slice(items, 2, 0)
slice(items, -4, 3)
slice(words, 2, 10)
array_repeat(n, 3)
arrays_overlap(items, others)
sequence(1, 5)
sequence(5, 1)
sequence(tiny, 3)
transform(items, x -> x + 1)
transform(items, x -> x * n)
transform(words, w -> upper(w))
filter(items, x -> x > 1)
filter(items, x -> x is not null)
exists(items, x -> x > 2)
forall(items, x -> x > 0)
forall(words, w -> length(w) > 0)
aggregate(items, 0L, (acc, x) -> acc + x)
aggregate(weights, 0D, (a, b) -> a + coalesce(b, 0D))
aggregate(items, 0L, (acc, x) -> acc + coalesce(x, 0L))
reduce(items, 1L, (acc, x) -> acc * x)
array(n, k, 1)
array(1, 2.5)
array(s, 'x')
concat(items, array(1L))
substring(s, h, tiny)
year(at)
year(d)
year(t)
quarter(at)
month(d)
day(at)
dayofmonth(d)
dayofweek(d)
weekday(d)
dayofyear(at)
weekofyear(d)
hour(at)
minute(at)
second(at)
hour(until)
extract(year from at)
extract(week from d)
extract(dow from d)
extract(hour from at)
extract(dayofweek from d)
extract(doy from d)
date_part('month', at)
date_part('quarter', d)
dayname(d)
monthname(d)
date_add(d, 7)
date_add(d, tiny)
date_add(at, 1)
date_add(t, 1)
date_sub(d, 7)
date_sub(d, tiny)
dateadd(day, 2, at)
timestampadd(HOUR, -5, at)
timestampadd(MONTH, 1, at)
datediff(d, d2)
datediff(at, until)
date_diff(d, '2020-01-01')
datediff(t, d)
add_months(d, 1)
add_months(d, tiny)
add_months(d, -13)
add_months(at, 1)
months_between(at, until)
months_between(d, d2)
months_between(at, d)
last_day(d)
last_day(at)
next_day(d, 'Mon')
next_day(d, 'SUNDAY')
next_day(d, 'fr')
trunc(d, 'YEAR')
trunc(d, 'month')
trunc(d, 'quarter')
trunc(d, 'week')
trunc(at, 'MM')
date_trunc('HOUR', at)
date_trunc('day', at)
date_trunc('week', at)
date_trunc('MONTH', at)
date_trunc('year', at)
date_trunc('quarter', at)
date_trunc('minute', at)
date_trunc('second', at)
date_trunc('millisecond', at)
date_trunc('microsecond', at)
date_trunc('DAY', d)
to_date(t)
to_date(at)
to_date(d)
to_date(t, 'yyyy-MM-dd')
to_date(t, 'dd/MM/yyyy')
to_date(t, 'yyyyMMdd')
to_date(t, 'yyyy-MM')
to_date(t, 'yyyy')
to_date(t, 'yyyy-MM-dd HH:mm:ss')
to_timestamp(t, 'yyyy-MM-dd HH:mm:ss')
to_timestamp(t, 'yyyy-MM-dd HH:mm:ss.SSS')
to_timestamp(t, 'yyyy-MM-dd')
to_timestamp(t, 'yyyy-MM-dd HH:mm')
to_timestamp(d)
to_timestamp(at)
date_format(at, 'yyyy-MM-dd')
date_format(at, 'yyyy-MM-dd HH:mm:ss.SSS')
date_format(at, 'yyyyMMdd')
date_format(at, 'EEEE, d MMMM yyyy')
date_format(at, 'EEE dd MMM yy hh:mm a')
date_format(d, 'D')
date_format(d, 'M/d/yyyy')
date_format(at, "yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'")
date_format(at, 'H')
date_format(at, 'h m s')
date_format(at, 'E')
date_format(at, 'DDD')
date_format(at, "h 'o''clock' a")
unix_timestamp(at)
unix_timestamp(until)
unix_timestamp(d)
unix_timestamp(t)
unix_timestamp(t, 'yyyy-MM-dd')
to_unix_timestamp(at)
from_unixtime(i)
from_unixtime(i, 'yyyy-MM-dd')
from_unixtime(1600000000, 'HH:mm')
unix_seconds(at)
unix_millis(at)
unix_micros(at)
unix_date(d)
date_from_unix_date(tiny)
timestamp_seconds(i)
timestamp_millis(i)
timestamp_micros(i)
make_date(2020, i, h)
make_date(2020, 2, 29)
from_utc_timestamp(at, 'America/New_York')
from_utc_timestamp(until, 'Asia/Kolkata')
from_utc_timestamp(at, 'UTC')
to_utc_timestamp(at, 'America/New_York')
to_utc_timestamp(until, 'Europe/London')
to_utc_timestamp(at, 'Asia/Tokyo')
from_utc_timestamp(at, 'Australia/Lord_Howe')
to_utc_timestamp(at, 'Australia/Lord_Howe')
s not like 'a%'
n <= k
character_length(s)
datepart('year', at)
lcase(s)
ucase(s)
len(s)
n is distinct from k
regexp(s, 'a.c')
substr(s, 2, 3)
float(x)
smallint(n)
tinyint(t)
timestamp(d)
s not rlike 'a'
s not in ('a','b')
n not between 0 and 5
not (n > 1)
s not ilike 'A%'
s not like '100!%' escape '!'
n is not null and not ok
s like 'a' or s like 'b'
"""

#: Patterns of Java, one a line, that are searched for in all texts.
PATTERNS = r"""
a
^a
c$
^$
^\s*$
a.c
\d+
^\d{3}-?
[a-c]+x?
[^a-zA-Z0-9 ]
\s
\S+@\S+
\w+\.\w+
[\w.]+@[\w.]+
\D\W\S
(a|b|)c
(?:ab|cd)+
(\d)(\w)?
a{2,}
x{40}
x{39,41}?
.*?b
(?i)hello world
(?i)[a-f]+o
(?i)STRASSE
[\d\s,]+
[-a]
[a-]
\.
\(
\[1\]
\\
\$
\+\d
é
日.語
[à-ü]
\u00e9
\x41
\t
\n
[\t\n]
\p{Alpha}+
\p{Punct}
[\p{Upper}\d]+
\p{Space}$
end$
^line$
a$|b$
(^a|c$)
o$.?
[.]
[*+?]
\Aabc\z
.
^.$
^..$
\r\n
"""
REFUSED_PATTERNS = r"""
(?=a)
(?!a)b
(?<=a)b
(?<name>a)
(a)\1
a++
a*+
a?+
(?>a)
\bword\b
\Babc
\p{L}
\p{IsAlphabetic}
\h
\R
\Qabc\E
[a&&b]
[a[b]]
[[:alpha:]]
(?s).
(?m)^a
(?i)é
(a*)*
(a|)+
a**
(
)
[a
*a
a{2
{
a{1001}
\Z
\G
\uZZZZ
[b-a]
^*
"""
#: What is refused, and why.
REFUSED = [
    ("made_up(n)", "not among the functions that were compared with Spark's; write it in DuckDB's"),
    ("price + NULL", "NULL has no digits"),
    ("NULL * cost", "NULL has no digits"),
    ("element_at(items, 0)", "counts from 1"),
    ("element_at(items, i)", "must be a literal"),
    ("slice(items, 0, 1)", "counts from 1"),
    ("date_trunc('fortnight', at)", "'fortnight' is no unit"),
    ("trunc(d, 'hour')", "'hour' is no unit"),
    ("date_format(at, 'yyy')", "has yyy; known are"),
    ("date_format(at, '[HH]')", r"has '\[', which is not known"),
    ("to_date(t, 'MM-dd')", "has no yyyy"),
    ("to_date(t, 'yyyy-MM-dd z')", "has z; known are"),
    ("to_timestamp(t, 'yyyyMMddHHmmssSSS')", "a fraction must follow a point"),
    ("to_timestamp(t)", "give a format"),
    ("from_utc_timestamp(at, 'EST')", "by the name of a place"),
    ("from_utc_timestamp(at, 'Nowhere/Land')", "is no time zone"),
    ("from_utc_timestamp(at, s)", "must be a literal"),
    ("next_day(d, 'someday')", "no day of the week"),
    ("months_between(at, until, false)", "it is known of"),
    ("round(x, n)", "literal number of places"),
    ("round(x, -1)", "0 to 15 places"),
    ("bround(n, -1)", "rounded here by round"),
    ("sha2(s, 512)", "256 bits are known"),
    ("split(s, '')", "may match nothing"),
    ("split(s, '[,.]', 2)", "a plain text as separator"),
    ("split(s, u)", "must be a literal"),
    ("regexp_replace(s, 'a*', 'b')", "may match nothing"),
    ("regexp_replace(s, 'a', '$1')", "none in Java"),
    ("regexp_replace(s, '(a)', '$12')", "more than one digit"),
    ("regexp_extract(s, 'a', 1)", "has 0 groups, and 1 is asked for"),
    ("s LIKE 'a\\\\b'", "an escape is followed by neither"),
    ("s LIKE u", "must be a literal"),
    ("s LIKE 'a' ESCAPE '%'", "other than % and _"),
    ("s ILIKE 'é'", "in ASCII"),
    ("substring_index(s, u, 1)", "must be a literal"),
    ("extract(century from at)", "no part that it knows"),
    ("extract(second from at)", "no part that it knows"),
    ("CAST(s AS BINARY)", "not known to mean the same"),
    ("CAST(s AS INTERVAL DAY)", "is no type that columns have here"),
    ("CAST(n AS DATE)", "from int64 to date"),
    ("CAST(CAST(price AS DECIMAL(30, 8)) AS STRING)", "more than 6 places"),
    ("CAST(s AS ARRAY<INT>)", "not known to mean the same"),
    ("CAST('20200101' AS DATE)", "a literal like '2020-01-31'"),
    ("d > 'yesterday'", "a literal like '2020-01-31'"),
    ("d > s", "a literal like '2020-01-31'"),
    ("n = s", "cast one of them"),
    ("n + s", "arithmetic takes numbers"),
    ("ok + 1", "arithmetic takes numbers"),
    ("items = others", "arrays are not compared"),
    ("at - until", "subtract what unix_micros"),
    ("d - d2", "write datediff"),
    ("at + 1", "an INTERVAL can be added"),
    ("at + INTERVAL '1 2' DAY TO HOUR", "a literal number of YEAR"),
    ("at + INTERVAL 200000 DAYS", "100000 units at most"),
    ("INTERVAL 1 DAY", "not among what was compared"),
    ("CAST(price AS DECIMAL(38, 2)) * price", "would have 57 digits"),
    ("price % 2", "remainder of decimals"),
    ("x div 2", "div is known of integers"),
    ("map_col['a']", "no column"),
    ("s['a']", "takes an array"),
    ("items.element", "no table"),
    ("n::string COLLATE UTF8_LCASE", "not among what was compared"),
    ("CASE WHEN n THEN 1 END", "cast"),
    ("coalesce(n, 'none')", "cast one of them"),
    ("array(n, s)", "cast one of them"),
    ("transform(items, (x, i) -> x + i)", "of up to 1 arguments"),
    ("aggregate(items, 0, (a, x) -> a + x)", "gives int32"),
    ("array_join(items, ',')", "does not become list<string>"),
    ("named_struct('a', n)", "no types here"),
    ("xxhash64(s)", "no such hash"),
    ("99999999999999999999", "beyond 64 bits"),
    ("count(DISTINCT n)", "many rows"),
    ("max(n) FILTER (WHERE ok)", "not among what was compared|many rows"),
    ("n BETWEEN 's' AND 2", "cast one of them"),
]
