{{/* Names, labels and the parts that every pod has. */}}

{{- define "sentinel.fullname" -}}
{{- if contains "sentinel" .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-sentinel" .Release.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{/* Of (root, component): what selects the pods. */}}
{{- define "sentinel.selector" -}}
app.kubernetes.io/name: sentinel
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* Of (root, component). `sentinel.dev/job` is the job under which Prometheus knows it. */}}
{{- define "sentinel.labels" -}}
{{ include "sentinel.selector" . }}
app.kubernetes.io/version: {{ .root.Values.image.tag | default .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
sentinel.dev/job: {{ eq .component "server" | ternary "sentinel" (printf "sentinel-%s" .component) }}
{{- end }}

{{- define "sentinel.image" -}}
image: {{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- end }}

{{- define "sentinel.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "sentinel.fullname" .) }}
{{- end }}

{{/* Where the servers are one with their state: a StatefulSet; else a Deployment over one volume. */}}
{{- define "sentinel.isShared" -}}
{{- if eq .Values.state "redis" }}true{{ end }}
{{- end }}

{{/* The claim of models/ as the jobs, and with Redis all pods, mount it. */}}
{{- define "sentinel.modelsClaim" -}}
{{- if include "sentinel.isShared" . }}{{ include "sentinel.fullname" . }}-models{{ else }}models-{{ include "sentinel.fullname" . }}-server-0{{ end }}
{{- end }}

{{- define "sentinel.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "sentinel.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{/* Of (root): what stands above the containers of every pod. */}}
{{- define "sentinel.pod" -}}
serviceAccountName: {{ include "sentinel.serviceAccount" . }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  {{- include "sentinel.podSecurity" . | nindent 2 }}
{{- end }}

{{/* Of (root, component): annotations that make pods new when the workspace's files change. */}}
{{- define "sentinel.podMeta" -}}
labels:
  {{- include "sentinel.labels" . | nindent 2 }}
  {{- with .root.Values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
annotations:
  checksum/workspace: {{ toJson .root.Values.workspace | sha256sum }}
  {{- with .root.Values.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* Of (name, from, key): one variable out of a Secret; nothing where no Secret is named. */}}
{{- define "sentinel.secretEnv" -}}
{{- if .from }}
- name: {{ .name }}
  valueFrom:
    secretKeyRef: { name: {{ .from }}, key: {{ .key }} }
{{- end }}
{{- end }}

{{/* Of (root): the environment of everything that opens the workspace. */}}
{{- define "sentinel.env" -}}
{{- $s := .Values.secrets -}}
- name: SENTINEL_ACTOR
  value: {{ printf "helm:%s/%s" .Release.Namespace .Release.Name | quote }}
{{- include "sentinel.secretEnv" (dict "name" "SENTINEL_DATABASE_URL" "from" $s.database.name "key" $s.database.key) }}
{{- include "sentinel.secretEnv" (dict "name" "SENTINEL_REDACT_KEY" "from" $s.redactKey.name "key" $s.redactKey.key) }}
{{- if include "sentinel.isShared" . }}
{{- include "sentinel.secretEnv" (dict "name" "SENTINEL_REDIS_URL" "from" $s.redis.name "key" $s.redis.key) }}
{{- end }}
{{- with .Values.mlflow.uri }}
- name: MLFLOW_TRACKING_URI
  value: {{ . | quote }}
{{- end }}
{{- include "sentinel.secretEnv" (dict "name" "MLFLOW_TRACKING_TOKEN" "from" $s.mlflow.name "key" $s.mlflow.tokenKey) }}
{{- with .Values.archive.url }}
- name: SENTINEL_ARCHIVE_URL
  value: {{ . | quote }}
- name: AWS_REGION
  value: {{ $.Values.archive.region | quote }}
{{- with $.Values.archive.endpoint }}
- name: AWS_ENDPOINT_URL_S3
  value: {{ . | quote }}
{{- end }}
{{- include "sentinel.secretEnv" (dict "name" "AWS_ACCESS_KEY_ID" "from" $s.s3.name "key" $s.s3.accessKeyIdKey) }}
{{- include "sentinel.secretEnv" (dict "name" "AWS_SECRET_ACCESS_KEY" "from" $s.s3.name "key" $s.s3.secretAccessKeyKey) }}
{{- end }}
{{- end }}

{{/* Of (root): the environment of who asks Kafka. */}}
{{- define "sentinel.kafkaEnv" -}}
{{- $s := .Values.secrets.kafka -}}
- name: SENTINEL_KAFKA_BROKERS
  value: {{ .Values.kafka.brokers | quote }}
{{- if .Values.kafka.tls }}
- name: SENTINEL_KAFKA_TLS
  value: "true"
{{- end }}
{{- with .Values.kafka.sasl }}
- name: SENTINEL_KAFKA_SASL
  value: {{ . }}
{{- end }}
{{- include "sentinel.secretEnv" (dict "name" "SENTINEL_KAFKA_USERNAME" "from" $s.name "key" $s.usernameKey) }}
{{- include "sentinel.secretEnv" (dict "name" "SENTINEL_KAFKA_PASSWORD" "from" $s.name "key" $s.passwordKey) }}
{{- end }}

{{/* Of (root): what is mounted of the workspace, besides models/. */}}
{{- define "sentinel.mounts" -}}
- { name: tmp, mountPath: /tmp }
{{- if .Values.workspace.pipelines }}
- { name: pipelines, mountPath: /workspace/pipelines, readOnly: true }
{{- end }}
{{- if .Values.workspace.features }}
- { name: features, mountPath: /workspace/features, readOnly: true }
{{- end }}
{{- if .Values.workspace.dataClaim }}
- { name: data, mountPath: /workspace/data, readOnly: true }
{{- end }}
{{- end }}

{{- define "sentinel.volumes" -}}
- name: tmp
  emptyDir: { sizeLimit: 1Gi }
{{- if .Values.workspace.pipelines }}
- name: pipelines
  configMap: { name: {{ include "sentinel.fullname" . }}-pipelines }
{{- end }}
{{- if .Values.workspace.features }}
- name: features
  configMap: { name: {{ include "sentinel.fullname" . }}-features }
{{- end }}
{{- with .Values.workspace.dataClaim }}
- name: data
  persistentVolumeClaim: { claimName: {{ . }}, readOnly: true }
{{- end }}
{{- end }}

{{/* Of (root): the node on which the servers' volume is; SQLite is shared by processes of one machine alone. */}}
{{- define "sentinel.besideServers" -}}
affinity:
  podAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      - topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- include "sentinel.selector" (dict "root" . "component" "server") | nindent 12 }}
{{- end }}

{{/* Of (root, component): over zones, then over nodes. */}}
{{- define "sentinel.spread" -}}
topologySpreadConstraints:
  {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "sentinel.selector" $ | nindent 8 }}
  {{- end }}
{{- end }}

{{/* Of (nodeSelector, tolerations). */}}
{{- define "sentinel.place" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Of (port): alive, ready, and as long for a start as a large log takes. */}}
{{- define "sentinel.probes" -}}
startupProbe:
  httpGet: { path: /livez, port: {{ .port }} }
  periodSeconds: 2
  failureThreshold: 150
livenessProbe:
  httpGet: { path: /livez, port: {{ .port }} }
  periodSeconds: 10
  timeoutSeconds: 3
  failureThreshold: 6
readinessProbe:
  httpGet: { path: /readyz, port: {{ .port }} }
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 2
{{- end }}

{{/* What cannot be meant; asked by every template that would be wrong. */}}
{{- define "sentinel.check" -}}
{{- if and (include "sentinel.isShared" .) (not .Values.secrets.redis.name) }}
{{- fail "state: redis needs secrets.redis.name, the Secret with the URL of Redis" }}
{{- end }}
{{- if and .Values.server.autoscaling.enabled (not (include "sentinel.isShared" .)) }}
{{- fail "server.autoscaling needs state: redis: a server with a state of its own is one pod" }}
{{- end }}
{{- if and .Values.stream.enabled (not .Values.kafka.brokers) }}
{{- fail "stream.enabled needs kafka.brokers" }}
{{- end }}
{{- if and .Values.stream.enabled (not (include "sentinel.isShared" .)) (or (gt (int .Values.stream.replicas) 1) .Values.stream.keda.enabled) }}
{{- fail "several stream pods, and KEDA, need state: redis" }}
{{- end }}
{{- if and .Values.kafka.sasl (not .Values.secrets.kafka.name) }}
{{- fail "kafka.sasl needs secrets.kafka.name" }}
{{- end }}
{{- if and (not .Values.secrets.adminKey.name) (not .Values.secrets.keys.name) }}
{{- fail "name secrets.adminKey.name or secrets.keys.name: a server that others reach asks for keys" }}
{{- end }}
{{- if and .Values.gateway.enabled (not .Values.secrets.clientKey.name) }}
{{- fail "gateway.enabled needs secrets.clientKey.name: the gateway's own key of the role predict for the servers" }}
{{- end }}
{{- end }}
