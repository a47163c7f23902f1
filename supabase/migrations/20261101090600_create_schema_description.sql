-- What SAOL takes its names from, on both transports alike.
create function public.describe_schema() returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object(
    'tables', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'name', c.relname,
        'kind', case c.relkind when 'v' then 'view' else 'table' end,
        'rls_enabled', c.relrowsecurity,
        'rls_forced', c.relforcerowsecurity,
        'row_estimate', greatest(c.reltuples, 0)::bigint,
        'size_bytes', pg_catalog.pg_total_relation_size(c.oid),
        'columns', (
          select coalesce(jsonb_agg(jsonb_build_object('name', a.attname,
            'type', pg_catalog.format_type(a.atttypid, a.atttypmod), 'nullable', not a.attnotnull,
            'default', pg_catalog.pg_get_expr(d.adbin, d.adrelid)) order by a.attnum), '[]')
          from pg_catalog.pg_attribute a
          left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
          where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped),
        'primary_key', (
          select coalesce(jsonb_agg(a.attname order by k.place), '[]')
          from pg_catalog.pg_index i
          cross join lateral unnest(i.indkey::smallint[]) with ordinality as k(number, place)
          join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = k.number
          where i.indrelid = c.oid and i.indisprimary),
        'indexes', (
          select coalesce(jsonb_agg(pg_catalog.pg_get_indexdef(i.indexrelid) order by i.indexrelid), '[]')
          from pg_catalog.pg_index i where i.indrelid = c.oid),
        'constraints', (
          select coalesce(jsonb_agg(jsonb_build_object('name', k.conname,
            'definition', pg_catalog.pg_get_constraintdef(k.oid)) order by k.conname), '[]')
          from pg_catalog.pg_constraint k where k.conrelid = c.oid),
        'policies', (
          select coalesce(jsonb_agg(p.polname order by p.polname), '[]')
          from pg_catalog.pg_policy p where p.polrelid = c.oid)
      ) order by c.relname), '[]')
      from pg_catalog.pg_class c
      where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'v', 'p')),
    'functions', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'name', f.proname,
        'returns', pg_catalog.format_type(f.prorettype, null),
        'returns_set', f.proretset,
        'arguments', (
          select coalesce(jsonb_agg(jsonb_build_object('name', f.proargnames[n],
            'type', pg_catalog.format_type(f.proargtypes[n - 1], null),
            'has_default', n > f.pronargs - f.pronargdefaults) order by n), '[]')
          from generate_series(1, f.pronargs) n)
      ) order by f.proname), '[]')
      from pg_catalog.pg_proc f
      where f.pronamespace = 'public'::regnamespace and f.prokind = 'f'
        and f.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)));
$$;

revoke execute on function public.describe_schema() from public, anon, authenticated;
grant execute on function public.describe_schema() to service_role;
