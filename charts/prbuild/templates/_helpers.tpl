{{/* Namespace that Jobs run in. */}}
{{- define "prbuild.builds" -}}
{{- .Values.builds.namespace | default (printf "%s-builds" .Release.Namespace) -}}
{{- end -}}

{{/* Labels of every object. */}}
{{- define "prbuild.labels" -}}
app.kubernetes.io/name: prbuild
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/* Labels by which the pods of a component are chosen: (list root component). */}}
{{- define "prbuild.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: prbuild
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* Name of an image: (list root name). */}}
{{- define "prbuild.image" -}}
{{- $root := index . 0 -}}{{- $name := index . 1 -}}
{{- $tag := $root.Values.image.tag | default $root.Chart.AppVersion -}}
{{- $digest := get ($root.Values.image.digests | default dict) $name -}}
{{- printf "%s/%s:%s" $root.Values.image.registry $name $tag -}}
{{- if $digest }}@{{ $digest }}{{ end -}}
{{- end -}}

{{/* Where people open pages. */}}
{{- define "prbuild.pages" -}}
{{- $scheme := ternary "https" "http" .Values.ingress.tls.enabled -}}
{{- .Values.pagesUrl | default (printf "%s://%s" $scheme .Values.host) -}}
{{- end -}}

{{/* Where build pods and the operator send logs and records. */}}
{{- define "prbuild.ingest" -}}
http://prbuild-ingest.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}:8081
{{- end -}}

{{/* Names of PriorityClasses, which all namespaces share. */}}
{{- define "prbuild.priority" -}}prbuild-{{ .Release.Namespace }}{{- end -}}
{{- define "prbuild.buildPriority" -}}prbuild-{{ .Release.Namespace }}-builds{{- end -}}

{{/* Who a pod is. A cluster that gives each namespace numbers of its own refuses these; it puts its own in. */}}
{{- define "prbuild.user" -}}
runAsNonRoot: true
{{- if .Values.fixedUser }}
runAsUser: 65532
runAsGroup: 65532
{{- end }}
{{- end -}}

{{/* What all pods of PrBuild have in common: (list root component). */}}
{{- define "prbuild.pod" -}}
{{- $root := index . 0 -}}{{- $component := index . 1 -}}
serviceAccountName: prbuild-{{ $component }}
enableServiceLinks: false
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- if $root.Values.priorityClasses.create }}
priorityClassName: {{ include "prbuild.priority" $root }}
{{- end }}
securityContext:
  {{- include "prbuild.user" $root | nindent 2 }}
  {{- if $root.Values.fixedUser }}
  fsGroup: 65532
  {{- end }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    # Pods of one version among themselves: those that an upgrade takes away do not count.
    matchLabelKeys: [pod-template-hash]
    labelSelector:
      matchLabels:
        {{- include "prbuild.selector" . | nindent 8 }}
{{- with $root.Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* What all containers of PrBuild have in common: (list root component). */}}
{{- define "prbuild.container" -}}
{{- $root := index . 0 -}}{{- $component := index . 1 -}}
name: {{ $component }}
image: {{ include "prbuild.image" . }}
imagePullPolicy: {{ $root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
env:
  - name: PRBUILD_LOG_FILTER_FILE
    value: /etc/prbuild/log/filter
  - name: POD_NAME
    valueFrom: {fieldRef: {fieldPath: metadata.name}}
  # With these it says in Events about its pod what keeps it from being ready.
  - name: POD_NAMESPACE
    valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
  - name: POD_UID
    valueFrom: {fieldRef: {fieldPath: metadata.uid}}
livenessProbe:
  httpGet: {path: /healthz, port: metrics}
  periodSeconds: 10
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: metrics}
  periodSeconds: 2
  failureThreshold: 2
resources:
  {{- toYaml (index $root.Values $component).resources | nindent 2 }}
{{- end -}}

{{/* Mounts and volumes of the connections. A Secret that is missing keeps no pod from starting: the
program says what it misses, and finds it when it is made. */}}
{{- define "prbuild.connectionMounts" -}}
{{- range $name, $secret := .Values.connections }}
- name: connection-{{ $name }}
  mountPath: /etc/prbuild/connections/{{ $name }}
  readOnly: true
{{- end }}
{{- if .Values.selfTest.enabled }}
- name: connection-prbuild-self-test
  mountPath: /etc/prbuild/connections/prbuild-self-test
  readOnly: true
{{- end }}
{{- end -}}
{{- define "prbuild.connectionVolumes" -}}
{{- range $name, $secret := .Values.connections }}
- name: connection-{{ $name }}
  secret:
    secretName: {{ $secret }}
    optional: true
    defaultMode: 0440
{{- end }}
{{- if .Values.selfTest.enabled }}
# There only while `helm test` runs.
- name: connection-prbuild-self-test
  secret:
    secretName: prbuild-self-test
    optional: true
    defaultMode: 0440
{{- end }}
{{- end -}}

{{/* The log filter, mounted. */}}
{{- define "prbuild.logVolume" -}}
- name: log
  configMap:
    name: prbuild-log
    optional: true
{{- end -}}
{{- define "prbuild.logMount" -}}
- name: log
  mountPath: /etc/prbuild/log
  readOnly: true
{{- end -}}
