-- What differs between two releases says from which side of the split to which a conversation moved.
create or replace function public.compare_datasets(p_older uuid, p_newer uuid, p_limit integer) returns jsonb
language sql stable set search_path = '' as $$
  with pairs as (
    select coalesce(o.conversation_id, n.conversation_id) as id, case
        when o.conversation_id is null then 'added'
        when n.conversation_id is null then 'removed'
        when o.version <> n.version then 'changed'
        when o.split <> n.split then 'moved'
        else 'same'
      end as kind, o.version as older, n.version as newer, o.split as older_side, n.split as newer_side
    from (select * from public.dataset_rows where dataset_id = p_older and decision = 'approved') o
    full join (select * from public.dataset_rows where dataset_id = p_newer and decision = 'approved') n
      on n.conversation_id = o.conversation_id
  ), numbered as (
    select p.*, row_number() over (partition by p.kind order by p.id) as place from pairs p
  )
  select jsonb_build_object(
    'counts', (select coalesce(jsonb_object_agg(kind, total), '{}')
      from (select kind, count(*) as total from pairs group by kind) k),
    'rows', (select coalesce(jsonb_agg(jsonb_build_object('kind', x.kind, 'id', x.id, 'key', c.conversation_id,
        'name', c.first_words, 'older', x.older, 'newer', x.newer, 'older_side', x.older_side,
        'newer_side', x.newer_side) order by x.kind, x.id), '[]')
      from numbered x join public.conversations c on c.id = x.id
      where x.kind <> 'same' and x.place <= p_limit))
$$;
