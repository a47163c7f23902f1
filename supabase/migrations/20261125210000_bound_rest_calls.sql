-- Over HTTP a project's gateway gives each call the settings of its role: the same bounds that every connection of
-- Bright Run to Postgres itself has. Where roles may not be changed, those of the project stay as they are.
do $$
declare
  v_role text;
begin
  foreach v_role in array array['service_role', 'authenticated', 'anon'] loop
    execute format('alter role %I in database %I set statement_timeout = %L', v_role, current_database(), '30s');
    execute format('alter role %I in database %I set lock_timeout = %L', v_role, current_database(), '5s');
    execute format('alter role %I in database %I set idle_in_transaction_session_timeout = %L', v_role,
      current_database(), '30s');
  end loop;
exception when insufficient_privilege then
  raise warning 'The time-outs of the roles are not set: %', sqlerrm;
end $$;
