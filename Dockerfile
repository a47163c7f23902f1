# Bright Run in a container: rows in Supabase or in the volume, whichever the settings name.
FROM python:3.12-slim

RUN useradd --create-home --uid 10001 brightrun && install -d -o brightrun -g brightrun /data
WORKDIR /app
COPY pyproject.toml constraints.txt README.md Home.py ./
COPY brightrun brightrun
COPY pages pages
COPY supabase supabase
COPY .streamlit/config.toml .streamlit/config.toml
RUN pip install --no-cache-dir -c constraints.txt '.[worker]'

USER brightrun
WORKDIR /home/brightrun
ENV BRIGHTRUN_HOME=/data BRIGHTRUN_LOG=stderr
VOLUME /data
EXPOSE 8501
HEALTHCHECK --start-period=60s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=5)"]
CMD ["brightrun", "app", "--address", "0.0.0.0", "--headless"]
