{{/* Returns the name of the objects. */}}
{{- define "ringcentral-exporter.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 53 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Returns the labels by which Service, ServiceMonitor and NetworkPolicy select the pod. They never change. */}}
{{- define "ringcentral-exporter.selectorLabels" -}}
app.kubernetes.io/name: ringcentral-exporter
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Returns the labels of the pod. Its own labels take precedence, since objects select by them. */}}
{{- define "ringcentral-exporter.podLabels" -}}
{{- $labels := include "ringcentral-exporter.selectorLabels" . | fromYaml -}}
{{- $_ := set $labels "app.kubernetes.io/component" "exporter" -}}
{{- $_ := set $labels "app.kubernetes.io/part-of" "ringcentral-exporter" -}}
{{- $_ := set $labels "app.kubernetes.io/version" .Chart.AppVersion -}}
{{- merge $labels (.Values.podLabels | default dict) (.Values.commonLabels | default dict) | toYaml -}}
{{- end -}}

{{/* Returns the annotations of the pod. The checksum replaces the pod if the accounts change. */}}
{{- define "ringcentral-exporter.podAnnotations" -}}
{{- $annotations := dict "kubectl.kubernetes.io/default-container" "ringcentral-exporter" -}}
{{- if .Values.accounts -}}
{{- $_ := set $annotations "checksum/accounts" (include "ringcentral-exporter.accountsFile" . | sha256sum) -}}
{{- end -}}
{{- merge $annotations (.Values.podAnnotations | default dict) (.Values.commonAnnotations | default dict) | toYaml -}}
{{- end -}}

{{/* Returns the metadata of an object: root, name and component, optionally namespace, labels and annotations. */}}
{{- define "ringcentral-exporter.metadata" -}}
{{- $root := .root -}}
{{- $labels := include "ringcentral-exporter.selectorLabels" $root | fromYaml -}}
{{- $_ := set $labels "app.kubernetes.io/component" .component -}}
{{- $_ := set $labels "app.kubernetes.io/part-of" "ringcentral-exporter" -}}
{{- $_ := set $labels "app.kubernetes.io/version" $root.Chart.AppVersion -}}
{{- $_ := set $labels "app.kubernetes.io/managed-by" $root.Release.Service -}}
{{- $_ := set $labels "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_") -}}
{{- $annotations := merge (dict) (.annotations | default dict) ($root.Values.commonAnnotations | default dict) -}}
name: {{ .name }}
namespace: {{ .namespace | default $root.Release.Namespace }}
labels:
  {{- merge $labels (.labels | default dict) ($root.Values.commonLabels | default dict) | toYaml | nindent 2 }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Returns the accounts file. Its paths are those of the volume `accounts`, in the same directory. */}}
{{- define "ringcentral-exporter.accountsFile" -}}
accounts:
  {{- range .Values.accounts }}
  - name: {{ .name | quote }}
    client_id: {{ .clientId | quote }}
    client_secret_file: {{ printf "%s.client-secret" .name | quote }}
    jwt_file: {{ printf "%s.jwt" .name | quote }}
    {{- with .serverUrl }}
    server_url: {{ quote . }}
    {{- end }}
    {{- with .accountId }}
    account_id: {{ quote . }}
    {{- end }}
    {{- with .level }}
    level: {{ . }}
    {{- end }}
    {{- with .presence }}
    presence: {{ quote . }}
    {{- end }}
    {{- with .concurrentCallsLimit }}
    concurrent_calls_limit: {{ int64 . }}
    {{- end }}
    {{- if $.Values.ca.configMap }}
    ca_file: {{ include "ringcentral-exporter.caFile" $ | quote }}
    {{- end }}
  {{- end }}
{{- end -}}

{{/* Returns the path of the additional root certificates. */}}
{{- define "ringcentral-exporter.caFile" -}}
/etc/ringcentral-exporter/ca/{{ .Values.ca.key }}
{{- end -}}

{{/* Returns the variables of a single account. Secrets are files, which the exporter reads at each login. */}}
{{- define "ringcentral-exporter.accountEnv" -}}
- name: RC_CLIENT_ID
  {{- if .Values.account.clientId }}
  value: {{ .Values.account.clientId | quote }}
  {{- else }}
  valueFrom:
    secretKeyRef:
      name: {{ .Values.account.secret.name }}
      key: {{ .Values.account.secret.clientIdKey }}
  {{- end }}
- name: RC_CLIENT_SECRET_FILE
  value: /etc/ringcentral-exporter/secret/client-secret
- name: RC_JWT_FILE
  value: /etc/ringcentral-exporter/secret/jwt
{{- with .Values.account.name }}
- name: RC_ACCOUNT_NAME
  value: {{ quote . }}
{{- end }}
{{- with .Values.account.serverUrl }}
- name: RC_SERVER_URL
  value: {{ quote . }}
{{- end }}
{{- with .Values.account.accountId }}
- name: RC_ACCOUNT_ID
  value: {{ quote . }}
{{- end }}
{{- with .Values.account.level }}
- name: RC_LEVEL
  value: {{ quote . }}
{{- end }}
{{- with .Values.account.presence }}
- name: RC_PRESENCE
  value: {{ quote . }}
{{- end }}
{{- with .Values.account.concurrentCallsLimit }}
- name: RC_CONCURRENT_CALLS_LIMIT
  value: {{ int64 . | quote }}
{{- end }}
{{- if .Values.ca.configMap }}
- name: RC_CA_FILE
  value: {{ include "ringcentral-exporter.caFile" . | quote }}
{{- end }}
{{- end -}}

{{/* Returns a probe's request. With TLS it only opens a connection, since the kubelet has no client certificate. */}}
{{- define "ringcentral-exporter.probe" -}}
{{- if .root.Values.webTls.enabled -}}
tcpSocket:
  port: metrics
{{- else -}}
httpGet:
  path: {{ .path }}
  port: metrics
{{- end -}}
{{- end -}}

{{/* Returns the step that drops the created times of counters as series of their own, as the overlays do. */}}
{{- define "ringcentral-exporter.dropCreated" -}}
metricRelabelings:
  - sourceLabels: [__name__]
    regex: (ringcentral|process)_.+_created
    action: drop
{{- end -}}

{{/* Returns the settings with which Prometheus reads the exporter over TLS. */}}
{{- define "ringcentral-exporter.clientTls" -}}
tlsConfig:
  # The name in the certificate. Targets are addresses of pods.
  serverName: {{ .Values.webTls.serverName | default (include "ringcentral-exporter.fullname" .) }}
  ca:
    secret:
      name: {{ .Values.webTls.certificateSecret }}
      key: {{ .Values.webTls.caKey }}
{{- with .Values.webTls.loginSecret }}
basicAuth:
  username:
    name: {{ . }}
    key: {{ $.Values.webTls.usernameKey }}
  password:
    name: {{ . }}
    key: {{ $.Values.webTls.passwordKey }}
{{- end }}
{{- end -}}
