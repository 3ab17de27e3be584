"""Expressions of PostgreSQL, each run by PostgreSQL and by noskew on all rows of ``rows.py``."""

from __future__ import annotations

#: One expression a line.
EXPRESSIONS = r"""
x + y
i + f
n + x
price + cost
price * cost
price * 2
price - 1.5
price + x
n / 2
i / 7
f / 2
n % 3
i % 7
mod(n, 7)
-x
-price
n = k
n <> i
n < x
x = y
x < y
x >= y
n is distinct from k
n is not distinct from k
s = u
s < u
price > cost
price > 1
price = x
d < d2
d < at
at < until
d = '2020-02-29'
at >= '2020-01-01 00:00:00'
n between i and k
ok and no
ok or no
not ok
n & k
n | k
n # k
~n
small & i
s || u
s || n
'x' || i
s || null
items[1]
words[2]
n = any(items)
1 = any(items)
'a' = any(words)
n in (1,2,3)
n in (1,null)
s in ('a','abc','')
n is null
ok is true
ok is not false
case when n > 0 then 'pos' when n < 0 then 'neg' else 'zero' end
case n when 1 then 'one' end
case when ok then n else x end
case when ok then 1 else 2.5 end
d + 1
d - 1
d - d2
d + interval '1 day'
at + interval '1 day'
at + interval '90 minutes'
date '2020-02-29'
1
1.5
10000000000
2.50
i::bigint
n::float8
n::real
i::numeric(12,2)
i::text
n::text
i::boolean
least(greatest(x, -1000000.0), 1000000.0)::int
least(greatest(x, -1000000.0), 1000000.0)::bigint
cost::int
cost::bigint
price::float8
price::real
price::numeric(18,1)
cost::numeric(10,2)
price::numeric(20,4)
price::text
cost::text
ok::int
ok::text
'12'::int
' 12 '::int
(case when t ~ '^[0-9]{1,5}$' then t end)::int
(case when t ~ '^-?[0-9]+[.][0-9]+$' then t end)::float8
d::timestamp
d::text
at::date
until::date
extract(year from at)
extract(month from d)
extract(day from at)
extract(hour from at)
extract(minute from at)
extract(second from at)
extract(quarter from d)
extract(week from d)
extract(dow from d)
extract(isodow from d)
extract(doy from at)
extract(isoyear from d)
extract(epoch from at)
extract(epoch from d)
date_part('year', at)
date_part('epoch', at)
date_part('second', until)
date_trunc('month', at)
date_trunc('week', at)
date_trunc('day', until)
date_trunc('hour', at)
date_trunc('year', d)
date_trunc('quarter', at)
date_trunc('second', at)
date_trunc('minute', at)
length(s)
char_length(s)
octet_length(s)
trim(s)
btrim(s, 'a ')
ltrim(s, 'a')
rtrim(s, ',')
trim(both 'a' from s)
trim(leading from s)
trim(trailing 'e' from s)
substring(s from 2 for 3)
substring(s, 0, 2)
substring(s, -3, 5)
substring(s from 2)
substr(s, tiny)
substring(s, small, 3)
left(s, 3)
left(s, tiny)
right(s, tiny)
right(s, 2)
position('a' in s)
strpos(s, 'a')
strpos(s, u)
replace(s, 'a', 'b')
replace(s, u, 'x')
translate(s, 'abc', 'xy')
repeat(s, tiny)
reverse(s)
lpad(s, 5, 'xy')
lpad(s, tiny)
rpad(s, tiny, 'ab')
lpad(s, 5, '')
split_part(s, ',', 2)
split_part(s, '.', -1)
starts_with(s, 'a')
ascii(s)
md5(s)
concat(s, u)
concat(s, '-', u)
coalesce(n, k, 0)
coalesce(s, 'none')
coalesce(x, n)
nullif(n, k)
nullif(s, '')
greatest(n, k)
least(n, k, 5)
greatest(x, y)
least(x, y)
greatest(s, u)
abs(x)
abs(price)
ceil(x)
ceil(price)
ceiling(cost)
floor(x)
floor(cost)
round(x)
round(price)
round(price, 1)
round(cost, 2)
round(cost, 5)
trunc(x)
trunc(cost)
trunc(cost, 1)
sign(x)
sqrt(abs(x))
cbrt(x)
ln(abs(x) + 1)
log(abs(x) + 1)
pi()
cardinality(items)
array_length(items, 1)
array_position(items, 2)
array_append(items, n)
array[n, k]
array[1, 2]
s ~ '^[a-z]+$'
s ~ '[0-9]+'
s ~* 'HELLO'
s !~ 'a'
s !~* 'A'
s ~ 'a.b'
s ~ 'e$'
s ~ '\d'
s ~ '(a|b){2}'
s ~ '^$'
s like 'a%'
s not like '%b%'
s like '100\%'
s ilike 'HELLO%'
s like 'a!%' escape '!'
s not ilike '%B%'
tiny + 1
tiny * 3
small / 2 - tiny
n % 7 + i % 5
h % 100 + 1
(case when abs(x) between 0.001 and 1000 then x end) / 2
(case when abs(x) between 0.001 and 1000 then x end) ^ 2
power(least(greatest(x, 0.0), 1000.0), 0.5)
exp(least(greatest(x, -100.0), 100.0))
f * 0.5
n / 3
n / (k % 5 * 2 + 13)
-tiny
(i % 1000)::smallint
(n % 1000)::int
(case when abs(x) between 0.001 and 1000 then x end)::real
(price - price + 12.5)::int
at - interval '1 month'
at + interval '1 month'
d - interval '7 days'
abs(tiny)
lower('ABC' || i)
upper('abc' || n)
timestamptz '2020-02-29 12:00:00+02:00'
substr(s, 2, 3)
n <= k
h % 9 - 1 > 5 and not ok
log10(abs(x) + 1)
mod(i, 7)
ok is null or no
character_length(s)
'it''s'
s in ('a') and n not in (1, 2)
case s when 'a' then d else d2 end
coalesce(d, d2)
n between 0 and 5
price between 0 and 10
trim(both from s)
floor(price)
round(cost)
trunc(price)
"""
#: Expressions that fail for some row in PostgreSQL, and here, too.
FAILING = r"""
i + 1
small + small
n + i
small / i
n / k
-i
abs(i)
n::int
i::smallint
x::real
price::int
cast(s as int)
'1.5'::int
cast(t as double precision)
"""
#: What is refused, and why.
REFUSED = [
    ("to_char(at, 'YYYY')", "settings of the server"),
    ("to_date(t, 'YYYY-MM-DD')", "settings of the server"),
    ("age(at)", "settings of the server"),
    ("now()", "more than the row"),
    ("current_timestamp", "more than the row"),
    ("random()", "more than the row"),
    ("unnest(items)", "several rows of one"),
    ("count(*)", "many rows"),
    ("sum(n) OVER ()", "looks at other rows"),
    ("regexp_replace(s, 'a', 'b')", "prefers the longest match"),
    ("substring(s from '[0-9]+')", "does not become int32"),
    ("initcap(s)", "the collation"),
    ("price / 2", "a quotient of numerics"),
    ("price % 2", "known of integers"),
    ("round(x, 2)", "for a numeric with places"),
    ("at - until", "extract"),
    ("at at time zone 'UTC'", "not among what was compared with PostgreSQL"),
    ('s collate "C"', "not among what was compared"),
    ("1e3", "write its digits"),
    ("n between symmetric 1 and 2", "not among what was compared"),
    ("x::text", "not known to mean the same"),
    ("n::numeric", "numeric needs its digits"),
    ("s::varchar(3)", "is no type that columns have"),
    ("s::date", "from string to date is not known"),
    ("s ~ u", "must be a literal"),
    (r"s ~ '\y'", "has"),
    (r"s ~ 'a{2}?'", "as little as it can"),
    ("s ~ '***:a'", "starts with"),
    ("s similar to 'a'", "not among what was compared"),
    ("items[i]", "a literal number"),
    ("n = any(select k from events)", "not among|a subquery"),
    ("extract(century from at)", "no field"),
    ("date_trunc('century', at)", "no unit"),
    ("json_extract_path_text(s, 'a')", "readers of JSON"),
    ("jsonb_path_query(s, 'a')", "not among the functions that were compared with PostgreSQL"),
    ("s || x", "does not become string"),
    ("n = s", "no type in common"),
    ("at + interval '1 day 2 hours'", "literal number of YEAR"),
]
