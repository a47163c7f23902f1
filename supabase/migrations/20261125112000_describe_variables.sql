-- The variables of a template that are its own, described: what each may hold, what it is without a value.

alter table public.template_versions
  add column variables jsonb not null default '[]' check (jsonb_typeof(variables) = 'array');

create or replace view public.template_rows with (security_invoker = true) as
select t.*, v.id as version_id, v.system_text, v.user_text, v.dataset_system_text, v.required, v.optional,
  v.words_min, v.words_max, v.created_by as version_created_by, v.created_at as version_created_at, v.variables
from public.templates t
join public.template_versions v on v.template_id = t.id and v.version = t.current_version;

create or replace function public.publish_template(p_template jsonb, p_actor text) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_template public.templates;
  v_version public.template_versions;
begin
  insert into public.templates as t (template_key, name, description, category, tier, arc_key,
    suitable_personas, suitable_topics, rating, is_active, current_version)
  select i.template_key, i.name, coalesce(i.description, ''), coalesce(i.category, ''), i.tier, i.arc_key,
    coalesce(i.suitable_personas, '{}'), coalesce(i.suitable_topics, '{}'), coalesce(i.rating, 5),
    coalesce(i.is_active, true), 1
  from jsonb_populate_record(null::public.templates, p_template) i
  on conflict (template_key) do update set name = excluded.name, description = excluded.description,
    category = excluded.category, tier = excluded.tier, arc_key = excluded.arc_key,
    suitable_personas = excluded.suitable_personas, suitable_topics = excluded.suitable_topics,
    rating = excluded.rating, is_active = excluded.is_active,
    current_version = t.current_version + 1, updated_at = clock_timestamp()
  returning * into v_template;
  insert into public.template_versions (template_id, version, system_text, user_text, dataset_system_text,
    required, optional, words_min, words_max, created_by, variables)
  select v_template.id, v_template.current_version, i.system_text, i.user_text,
    coalesce(i.dataset_system_text, ''), coalesce(i.required, '{}'), coalesce(i.optional, '{}'),
    coalesce(i.words_min, 60), coalesce(i.words_max, 180), p_actor, coalesce(i.variables, '[]')
  from jsonb_populate_record(null::public.template_versions, p_template) i
  returning * into v_version;
  return jsonb_build_object('template_id', v_template.id, 'version_id', v_version.id,
    'version', v_version.version);
end $$;
