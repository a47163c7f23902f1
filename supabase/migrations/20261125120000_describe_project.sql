-- What a project has beside its public schema, for whoever reaches it over HTTP only: PostgREST shows no other
-- schema, so this looks with its owner's eyes, at two lists and nothing else.

create function public.describe_project() returns jsonb
language plpgsql stable security definer set search_path = '' as $$
declare
  v_migrations jsonb := '[]';
  v_public_buckets jsonb := '[]';
begin
  if to_regclass('supabase_migrations.schema_migrations') is not null then
    select coalesce(jsonb_agg(m.version order by m.version), '[]') into v_migrations
    from supabase_migrations.schema_migrations m;
  end if;
  if to_regclass('storage.buckets') is not null then
    select coalesce(jsonb_agg(b.id order by b.id), '[]') into v_public_buckets
    from storage.buckets b where b.public;
  end if;
  return jsonb_build_object('migrations', v_migrations, 'public_buckets', v_public_buckets);
end $$;

revoke execute on function public.describe_project() from public, anon, authenticated;
grant execute on function public.describe_project() to service_role;
