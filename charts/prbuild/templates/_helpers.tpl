{{/* Namespace that Jobs run in. */}}
{{- define "prbuild.builds" -}}
{{- .Values.namespace.builds | default (printf "%s-builds" .Release.Namespace) -}}
{{- end -}}

{{/* Labels of every object. */}}
{{- define "prbuild.labels" -}}
app.kubernetes.io/name: prbuild
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}
