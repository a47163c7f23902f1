-- The day prices are looked up for, whatever the clocks of the machines say that ask.
create function public.today() returns date
language sql stable set search_path = '' as $$
  select (clock_timestamp() at time zone 'utc')::date;
$$;
revoke execute on function public.today() from public, anon, authenticated;
grant execute on function public.today() to service_role;
